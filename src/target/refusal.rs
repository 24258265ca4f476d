//! Turns the redis crate's error into one line that tells the user what is wrong with the server.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::error::Error;
use crate::plain::one_line;
use crate::target::{OURS, Target};

/// What a full server says before it closes the connection.
const FULL: &str = "max number of clients";

impl Target {
    /// One clear line for an error of this server.
    pub(crate) fn refuses(&self, error: &RedisError) -> Error {
        let meaning = match self.is_tls() && error.is_timeout() {
            // A server without TLS takes the handshake for a command and waits for its end.
            true => {
                "no answer in time: it is stalled or stopped, or does not speak TLS (then give redis:// or redis-...)"
                    .to_owned()
            }
            false => meaning(error),
        };
        Error::server(format!("server {}: {}", self.address(), self.hushed(&meaning)))
    }

    /// The same for a connection that could not be made. If the server closed it, this connects again and reads before
    /// it writes, because a full server gives its reason only to clients that do so.
    pub(super) fn shuts_out(&self, error: &RedisError) -> Error {
        let hung_up = error.is_connection_dropped() && !error.is_connection_refusal();
        match hung_up.then(|| self.first_words()).flatten().filter(|words| words.contains(FULL)) {
            Some(words) => Error::server(format!("server {}: {}", self.address(), full(words.trim_start_matches('-')))),
            None => self.refuses(error),
        }
    }
}

/// Whether waiting may help: the connection is gone, or the server is starting or has no primary at the moment.
pub(super) fn may_pass(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, TryAgain};
    let is_starting = matches!(error.kind(), ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | TryAgain));
    error.is_io_error() || is_starting || error.to_string().contains(FULL)
}

/// What an error of the redis crate means to whoever gave the URL.
pub(super) fn meaning(error: &RedisError) -> String {
    let text = one_line(&error.to_string());
    if text.contains(FULL) {
        full(&text)
    } else if let Some(why) = untrusted(&text) {
        why
    } else if error.is_connection_refusal() {
        format!("{text} (is a server running there?)")
    } else if error.is_timeout() {
        "no answer in time: it is stalled or stopped, or no Redis is there".to_owned()
    } else if matches!(error.kind(), ErrorKind::Parse) || text.contains("Parse error") {
        "what answers there does not speak Redis's protocol: is the port right?".to_owned()
    } else if let Some(why) = wrong_url(&text) {
        why.to_owned()
    } else if let Some(right) = missing_right(&text) {
        format!("{text}: allow it (ACL SETUSER USER {right})")
    } else if error.is_connection_dropped() {
        format!(
            "it closed the connection ({text}): it stopped, accepts no more clients, speaks TLS (then give rediss:// or \
             rediss-...), or is not a Redis server"
        )
    } else if error.is_io_error() {
        format!("{text} (is a server running there?)")
    } else {
        text
    }
}

/// The rule that permits what the server's access control refused: `+ping`, `+cluster|slots`, `~lost-updates:*`.
fn missing_right(text: &str) -> Option<String> {
    if let Some((_, rest)) = text.split_once("has no permissions to run the '") {
        return rest.split_once('\'').map(|(command, _)| format!("+{command}"));
    }
    text.contains("NOPERM").then(|| format!("~{OURS}*"))
}

/// What in the URL does not fit the server: the password, the kind of server, or the database.
fn wrong_url(text: &str) -> Option<&'static str> {
    let says = |words: &str| text.contains(words);
    if says("NOAUTH") || says("Authentication required") {
        Some(
            "it requires a password: give USER:PASSWORD@ before the host, and for Sentinels &sentinelPassword=PASSWORD",
        )
    } else if says("WRONGPASS") || says("AuthenticationFailed") {
        Some("it does not accept the user name and password of the URL")
    } else if says("unknown command 'SENTINEL'") {
        Some("it is not a Sentinel: give redis:// for a server, redis-cluster:// for a cluster")
    } else if says("unknown command 'CLUSTER'") {
        Some("it is not a node of a cluster: give redis:// for a server, redis-sentinel:// for Sentinels")
    } else if says("SELECT is not allowed in cluster mode") {
        Some("a cluster has database 0 alone: leave the number out of the URL")
    } else {
        None
    }
}

/// What went wrong in a TLS connection, or for lack of TLS on one side.
fn untrusted(text: &str) -> Option<String> {
    let says = |words: &str| text.contains(words);
    if says("InvalidContentType") || says("corrupt message") {
        return Some(
            "what answers there does not speak TLS: is the port right, or should the URL be redis://?".to_owned(),
        );
    }
    if says("CertificateRequired") {
        return Some("it wants a certificate of ours: give --cert and --key".to_owned());
    }
    if let Some(why) = text.split_once("received fatal alert: ").map(|(_, why)| why)
        && ["UnknownCa", "UnknownCA", "BadCertificate", "DecryptError", "CertificateUnknown", "CertificateExpired"]
            .iter()
            .any(|alert| why.starts_with(alert))
    {
        return Some(format!("it does not accept the certificate of --cert: {why}"));
    }
    let certificate = text.split_once("invalid peer certificate: ")?.1;
    let what = if says("Expired") || says("expired") {
        "its certificate has expired".to_owned()
    } else if says("NotValidYet") || says("not valid yet") {
        "its certificate is not valid yet: is this machine's clock right?".to_owned()
    } else if says("UnknownIssuer") {
        "its certificate is of an authority that is not trusted: name it with --cacert".to_owned()
    } else if says("NotValidForName") || says("not valid for name") {
        format!("its certificate is for another host ({certificate})")
    } else {
        format!("its certificate is not accepted: {certificate}")
    };
    Some(what)
}

fn full(words: &str) -> String {
    format!("{}: raise its maxclients, or ask for fewer with --threads", one_line(words))
}
