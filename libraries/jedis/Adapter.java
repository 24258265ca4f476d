import java.io.IOException;
import java.net.URI;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import redis.clients.jedis.ConnectionPoolConfig;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.Pipeline;
import redis.clients.jedis.RedisClient;
import redis.clients.jedis.Response;
import redis.clients.jedis.Transaction;
import redis.clients.jedis.exceptions.JedisDataException;

/** Jedis: one pooled client for all threads, with a connection in its pool for each. */
final class Adapter implements Worker.Adapter {
    private static final String SCRIPT = "return redis.call('INCR', KEYS[1])";
    private RedisClient client;
    private DefaultJedisClientConfig config;
    private String sha;

    public Worker.Update open(Worker.Job job) {
        if (client == null) {
            URI uri = URI.create(job.url());
            ConnectionPoolConfig pool = new ConnectionPoolConfig();
            pool.setMaxTotal(job.clients().size());
            pool.setMaxIdle(job.clients().size());
            DefaultJedisClientConfig.Builder settings = DefaultJedisClientConfig.builder();
            if (uri.getUserInfo() != null) {
                String[] login = uri.getUserInfo().split(":", 2);
                settings.user(login[0].isEmpty() ? null : decoded(login[0]));
                settings.password(login.length > 1 ? decoded(login[1]) : null);
            }
            if (uri.getPath() != null && uri.getPath().length() > 1) {
                settings.database(Integer.parseInt(uri.getPath().substring(1)));
            }
            if (job.settings().equals("safe")) {
                settings.socketTimeoutMillis(1000); // a command is sent once anyway
            }
            config = settings.build();
            client = RedisClient.builder().hostAndPort(uri.getHost(), uri.getPort()).clientConfig(config).poolConfig(pool)
                    .build();
            sha = client.scriptLoad(SCRIPT);
        }
        return switch (job.strategy()) {
            case "incr" -> Worker.one(client::incr);
            case "get-set" -> Worker.one(this::getSet);
            case "lua-incr" -> Worker.one(key -> (Long) client.evalsha(sha, 1, key));
            case "watch" -> keys -> List.of(watch(keys.get(0)));
            case "pipelined-incr" -> this::pipelinedIncr;
            default -> throw new IllegalArgumentException("no strategy " + job.strategy());
        };
    }

    private static String decoded(String text) {
        return java.net.URLDecoder.decode(text.replace("+", "%2B"), java.nio.charset.StandardCharsets.UTF_8);
    }

    private static long next(String value) {
        return value == null ? 1 : Long.parseLong(value) + 1;
    }

    private long getSet(String key) {
        long value = next(client.get(key));
        client.set(key, Long.toString(value));
        return value;
    }

    private Worker.Told watch(String key) {
        for (int tries = 1;; tries++) {
            try (Jedis connection = new Jedis(client.getPool().getResource())) {
                connection.watch(key);
                long value = next(connection.get(key));
                Transaction transaction = connection.multi();
                transaction.set(key, Long.toString(value));
                if (transaction.exec() != null) {
                    return new Worker.Told(value, tries);
                }
            }
        }
    }

    private List<Worker.Told> pipelinedIncr(List<String> keys) {
        try (Pipeline pipeline = client.pipelined()) {
            List<Response<Long>> replies = keys.stream().map(pipeline::incr).toList();
            pipeline.sync();
            return replies.stream().map(reply -> new Worker.Told(reply.get(), 1)).toList();
        }
    }

    public boolean refused(Exception error) {
        return error instanceof JedisDataException; // what the server answers with
    }

    public Map<String, String> effective() {
        return Map.of("retries", "0", "socket_timeout", config.getSocketTimeoutMillis() + " ms", "connection_timeout",
                config.getConnectionTimeoutMillis() + " ms", "pool_size", "" + client.getPool().getMaxTotal());
    }

    public String library() {
        return "jedis";
    }

    public String version() throws IOException {
        Properties own = new Properties();
        own.load(RedisClient.class.getResourceAsStream("/redis/clients/jedis/pom.properties"));
        return own.getProperty("version");
    }

    public static void main(String[] args) throws Exception {
        Worker.serve(new Adapter());
    }
}
