import java.io.BufferedReader;
import java.io.FileOutputStream;
import java.io.FileDescriptor;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The loop that all Java adapters share: docs/libraries.md says what goes over the pipes, and why. Messages are read by a
 * reader of their few shapes, so that no JSON library is needed.
 */
public final class Worker {
    private static final String HEADER = "worker,begin_ns,end_ns,outcome,value,key,tries\n";
    /** Rows are written in blocks of this size, so that writing is rare within the race. */
    private static final int BLOCK = 64 << 10;

    /** The strategy of clients that send nothing: their rate shows what this loop and the pipes cost. */
    private static final String NO_OP = "no-op";

    private static final FileOutputStream OUT = new FileOutputStream(FileDescriptor.out);
    private static final long ZERO = System.nanoTime();

    /** What this worker is to do. */
    public record Job(String url, String strategy, String settings, List<String> keys, List<List<Long>> sequences,
            List<Long> clients, int batch) {}

    /** What became of one acknowledged update. */
    public record Told(long value, int tries) {}

    /** Adds one for each of the keys with one client. */
    public interface Update {
        List<Told> update(List<String> keys) throws Exception;
    }

    /** Adds one to one counter with one client. */
    public interface One {
        long update(String key) throws Exception;
    }

    /** A strategy that takes one update at once. */
    public static Update one(One one) {
        return keys -> List.of(new Told(one.update(keys.get(0)), 1));
    }

    /** What is particular to a library. */
    public interface Adapter {
        String library();

        String version() throws Exception;

        Update open(Job job) throws Exception;

        /** Whether nothing was done after this error. */
        boolean refused(Exception error);

        Map<String, String> effective();
    }

    private static final class Log {
        final long client;
        final List<Long> sequence;
        final boolean byRow;
        final StringBuilder rows = new StringBuilder();
        int place;
        long count;
        long acked;
        String error;

        Log(long client, List<Long> sequence, boolean byRow) {
            this.client = client;
            this.sequence = sequence;
            this.byRow = byRow;
        }

        void add(long begin, long end, String outcome, Told told, long key) throws IOException {
            rows.append(client).append(',').append(begin).append(',').append(end).append(',').append(outcome).append(',');
            if (told != null) {
                rows.append(told.value());
                acked++;
            }
            rows.append(',').append(key).append(',').append(told == null ? 1 : told.tries()).append('\n');
            count++;
            if (byRow || rows.length() > BLOCK) {
                flush();
            }
        }

        void flush() throws IOException {
            write(rows);
            rows.setLength(0);
        }
    }

    private static synchronized void write(CharSequence text) throws IOException {
        OUT.write(text.toString().getBytes(StandardCharsets.UTF_8));
    }

    private static long now() {
        return System.nanoTime() - ZERO;
    }

    private static void until(long instant) throws InterruptedException {
        for (long left; (left = instant - now()) > 0;) {
            Thread.sleep(left / 1_000_000, (int) (left % 1_000_000));
        }
    }

    private static void run(Adapter adapter, Update update, Job job, int batch, Log log, long updates, Map<String, Object> go)
            throws Exception {
        long start = (Long) go.get("start_ns");
        long end = start + (Long) go.get("duration_ns");
        @SuppressWarnings("unchecked")
        Map<String, Object> rate = (Map<String, Object>) go.get("rate");
        until(start);
        long begin = now();
        for (long done = 0; done < updates && begin < end;) {
            int many = (int) Math.min(batch, updates - done);
            List<Long> numbers = new ArrayList<>(many);
            List<String> keys = new ArrayList<>(many);
            for (int i = 0; i < many; i++) {
                long number = log.sequence.get(log.place++ % log.sequence.size());
                numbers.add(number);
                keys.add(job.keys().get((int) number));
            }
            done += many;
            if (rate != null) {
                long place = (done - 1) * (Long) rate.get("clients") + log.client;
                until(start + (long) (place * 1e9 / (Long) rate.get("per_s")));
                begin = now();
            }
            List<Told> told = null;
            Exception error = null;
            try {
                told = update.update(keys);
            } catch (Exception failed) {
                error = failed;
            }
            long ended = now();
            // Of a batch that failed, some may have been done.
            String outcome = error == null ? "ok" : many == 1 && adapter.refused(error) ? "fail" : "unknown";
            for (int i = 0; i < many; i++) {
                log.add(begin, ended, outcome, told == null ? null : told.get(i), numbers.get(i));
            }
            begin = ended;
            if (error != null) {
                if (log.error == null) {
                    log.error = error.getClass().getSimpleName() + ": " + error.getMessage();
                }
                until(ended + (Long) go.get("pause_ns"));
                begin = now();
            }
        }
        log.flush();
    }

    /** Does one job: a thread for every client. */
    public static void serve(Adapter adapter) throws Exception {
        try {
            work(adapter);
        } catch (Exception error) {
            write("{\"error\":" + quoted(error.toString()) + "}\n");
            System.exit(1);
        }
        System.exit(0); // whatever threads the library has
    }

    @SuppressWarnings("unchecked")
    private static void work(Adapter adapter) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Map<String, Object> first = (Map<String, Object>) ((Map<String, Object>) Json.read(in.readLine())).get("job");
        Job job = new Job((String) first.get("url"), (String) first.get("strategy"), (String) first.get("settings"),
                (List<String>) first.get("keys"), (List<List<Long>>) first.get("sequences"),
                (List<Long>) first.get("clients"), ((Long) first.get("batch")).intValue());
        int batch = job.strategy().equals("pipelined-incr") ? job.batch() : 1;
        boolean isNoOp = job.strategy().equals(NO_OP);
        List<Update> clients = new ArrayList<>();
        for (int i = 0; i < job.clients().size(); i++) {
            clients.add(isNoOp ? one(key -> 1) : adapter.open(job));
        }
        StringBuilder settings = new StringBuilder();
        Map<String, String> effective = isNoOp ? Map.of() : adapter.effective();
        effective.forEach((name, value) -> settings.append(settings.length() == 0 ? "" : ",")
                .append(quoted(name)).append(':').append(quoted(value)));
        write("{\"ready\":{\"library\":" + quoted(adapter.library()) + ",\"version\":" + quoted(adapter.version())
                + ",\"runtime\":" + quoted("Java " + System.getProperty("java.version")) + ",\"batch\":" + batch
                + ",\"settings\":{" + settings + "}}}\n");
        for (String line; (line = in.readLine()) != null;) {
            Map<String, Object> heard = (Map<String, Object>) Json.read(line);
            if (heard.containsKey("ping")) {
                write("{\"pong\":" + heard.get("ping") + ",\"now_ns\":" + now() + "}\n");
                continue;
            }
            race(adapter, job, batch, clients, (Map<String, Object>) heard.get("go"));
        }
    }

    @SuppressWarnings("unchecked")
    private static void race(Adapter adapter, Job job, int batch, List<Update> clients, Map<String, Object> go)
            throws Exception {
        write(HEADER);
        List<Long> updates = (List<Long>) go.get("updates");
        List<Log> logs = new ArrayList<>();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < clients.size(); i++) {
            List<Long> sequence = i < job.sequences().size() ? job.sequences().get(i) : List.of(0L);
            Log log = new Log(job.clients().get(i), sequence, "row".equals(go.get("flush")));
            Update update = clients.get(i);
            long many = updates.get(i);
            logs.add(log);
            threads.add(new Thread(() -> {
                try {
                    run(adapter, update, job, batch, log, many, go);
                } catch (Throwable broken) {
                    // What it had not written yet is gone.
                    broken.printStackTrace();
                    Runtime.getRuntime().halt(1);
                }
            }));
        }
        threads.forEach(Thread::start);
        for (Thread thread : threads) {
            thread.join();
        }
        String error = logs.stream().map(log -> log.error).filter(e -> e != null).findFirst().orElse(null);
        write("{\"done\":{\"rows\":" + logs.stream().mapToLong(log -> log.count).sum() + ",\"acked\":"
                + logs.stream().mapToLong(log -> log.acked).sum() + (error == null ? "" : ",\"error\":" + quoted(error))
                + "}}\n");
    }

    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.substring(0, Math.min(300, text.length())).toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else {
                out.append(c < ' ' ? ' ' : c);
            }
        }
        return out.append('"').toString();
    }
}
