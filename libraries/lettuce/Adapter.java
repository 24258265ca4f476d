import io.lettuce.core.ClientOptions;
import io.lettuce.core.ClientOptions.DisconnectedBehavior;
import io.lettuce.core.LettuceVersion;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisCommandExecutionException;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.RedisURI;
import io.lettuce.core.ScriptOutputType;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.sync.RedisCommands;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Lettuce: one client, and a connection for every thread, used by its synchronous commands. */
final class Adapter implements Worker.Adapter {
    private static final String SCRIPT = "return redis.call('INCR', KEYS[1])";
    private RedisClient client;
    private RedisURI uri;
    private Duration timeout;

    public Worker.Update open(Worker.Job job) {
        if (client == null) {
            uri = RedisURI.create(job.url());
            client = RedisClient.create(uri);
            if (job.settings().equals("safe")) {
                // What was in flight when the connection ended is an error, not sent again.
                client.setOptions(ClientOptions.builder().disconnectedBehavior(DisconnectedBehavior.REJECT_COMMANDS).build());
            } else if (job.settings().equals("replay-filter")) {
                client.setOptions(ClientOptions.builder().replayFilter(command -> true).build());
            }
        }
        StatefulRedisConnection<String, String> connection = client.connect(uri);
        if (!job.settings().equals("default")) {
            connection.setTimeout(Duration.ofSeconds(1)); // not the URI's, which is for a cold start as well
        }
        timeout = connection.getTimeout();
        RedisCommands<String, String> db = connection.sync();
        String sha = db.scriptLoad(SCRIPT);
        return switch (job.strategy()) {
            case "incr" -> Worker.one(db::incr);
            case "get-set" -> Worker.one(key -> getSet(db, key));
            case "lua-incr" -> Worker.one(key -> db.<Long>evalsha(sha, ScriptOutputType.INTEGER, key));
            case "watch" -> keys -> List.of(watch(db, keys.get(0)));
            case "pipelined-incr" -> keys -> pipelinedIncr(connection, keys);
            default -> throw new IllegalArgumentException("no strategy " + job.strategy());
        };
    }

    private static long next(String value) {
        return value == null ? 1 : Long.parseLong(value) + 1;
    }

    private static long getSet(RedisCommands<String, String> db, String key) {
        long value = next(db.get(key));
        db.set(key, Long.toString(value));
        return value;
    }

    private static Worker.Told watch(RedisCommands<String, String> db, String key) {
        for (int tries = 1;; tries++) {
            db.watch(key);
            long value = next(db.get(key));
            db.multi();
            db.set(key, Long.toString(value));
            if (!db.exec().wasDiscarded()) {
                return new Worker.Told(value, tries);
            }
        }
    }

    private List<Worker.Told> pipelinedIncr(StatefulRedisConnection<String, String> connection, List<String> keys)
            throws Exception {
        connection.setAutoFlushCommands(false);
        List<RedisFuture<Long>> replies = keys.stream().map(key -> connection.async().incr(key)).toList();
        connection.flushCommands();
        connection.setAutoFlushCommands(true);
        List<Worker.Told> told = new ArrayList<>();
        for (RedisFuture<Long> reply : replies) {
            told.add(new Worker.Told(reply.get(timeout.toMillis(), TimeUnit.MILLISECONDS), 1));
        }
        return told;
    }

    public boolean refused(Exception error) {
        return error instanceof RedisCommandExecutionException; // what the server answers with
    }

    public Map<String, String> effective() {
        ClientOptions options = client.getOptions();
        return Map.of("auto_reconnect", "" + options.isAutoReconnect(), "disconnected_behavior",
                options.getDisconnectedBehavior().toString(), "command_timeout", timeout.toString());
    }

    public String library() {
        return "lettuce";
    }

    public String version() {
        return LettuceVersion.getVersion().split("/")[0];
    }

    public static void main(String[] args) throws Exception {
        Worker.serve(new Adapter());
    }
}
