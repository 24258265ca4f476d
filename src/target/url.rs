//! The server's address as a URL that parses to the same address, for a second process.

use std::os::unix::ffi::OsStrExt;

use redis::{ConnectionAddr, ConnectionInfo};

/// The URL, password included: never to be printed.
pub(super) fn of(info: &ConnectionInfo) -> String {
    let settings = info.redis_settings();
    match info.addr() {
        ConnectionAddr::Unix(path) => {
            let mut query = format!("db={}", settings.db());
            for (name, value) in [("user", settings.username()), ("pass", settings.password())] {
                if let Some(value) = value {
                    query += &format!("&{name}={}", encoded(value.as_bytes(), b""));
                }
            }
            format!("unix://{}?{query}", encoded(path.as_os_str().as_bytes(), b"/"))
        }
        addr => {
            let user = settings.username().map(|user| encoded(user.as_bytes(), b"")).unwrap_or_default();
            let login = settings.password().map(|password| format!("{user}:{}@", encoded(password.as_bytes(), b"")));
            format!("redis://{}{}/{}", login.unwrap_or_default(), shown(addr), settings.db())
        }
    }
}

/// Host and port, or path. An IPv6 address has brackets, as in a URL.
pub(super) fn shown(addr: &ConnectionAddr) -> String {
    match addr {
        ConnectionAddr::Tcp(host, port) if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{port}"),
        addr => addr.to_string(),
    }
}

/// Percent-encoded, except for letters, digits and `plain`.
fn encoded(bytes: &[u8], plain: &[u8]) -> String {
    let one = |&byte: &u8| match byte.is_ascii_alphanumeric() || plain.contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    bytes.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo;

    use super::*;

    #[test]
    fn an_address_comes_back_from_its_url_whatever_is_in_it() {
        let urls = [
            "redis://127.0.0.1:7000/3",
            "redis://[::1]:7000",
            "redis://us%20er:p%40ss%2F%3A@a-host:7000/0",
            "redis://:p%23@[fe80::1]:1",
            "unix:///tmp/a%20b%3Fc%23d%2520e.sock",
            "unix:///tmp/%C3%A4%25.sock?db=2&user=a%26b&pass=%3D%3F%23+x",
        ];
        for url in urls {
            let there = url.into_connection_info().unwrap();
            let back = of(&there).as_str().into_connection_info().unwrap();
            assert_eq!(back.addr(), there.addr(), "{url}");
            let login = |info: &ConnectionInfo| {
                let settings = info.redis_settings();
                (settings.db(), settings.username().map(str::to_owned), settings.password().map(str::to_owned))
            };
            assert_eq!(login(&back), login(&there), "{url}");
        }
        assert_eq!(shown("redis://[::1]:7000".into_connection_info().unwrap().addr()), "[::1]:7000");
    }
}
