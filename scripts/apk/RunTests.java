import org.junit.runner.Description;
import org.junit.runner.JUnitCore;
import org.junit.runner.notification.Failure;
import org.junit.runner.notification.RunListener;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Base64;

/**
 * Runs JUnit 4 classes and writes a line a test: what became of it, its class, its name, its milliseconds and why it
 * failed (Base64), parted by tabs. Arguments: the file to write, then the classes.
 */
public final class RunTests {
    public static void main(String[] arguments) throws Exception {
        Class<?>[] classes = new Class<?>[arguments.length - 1];
        for (int i = 0; i < classes.length; i++) {
            classes[i] = Class.forName(arguments[i + 1]);
        }
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(Paths.get(arguments[0]), StandardCharsets.UTF_8))) {
            JUnitCore core = new JUnitCore();
            core.addListener(new Recorder(out));
            core.run(classes);
        }
        System.exit(0); // threads that a test left behind do not hold the run
    }

    private static final class Recorder extends RunListener {
        private final PrintWriter out;
        private long start;
        private String outcome;
        private String why;

        Recorder(PrintWriter out) {
            this.out = out;
        }

        @Override
        public void testStarted(Description test) {
            start = System.nanoTime();
            outcome = "passed";
            why = "";
        }

        @Override
        public void testFailure(Failure failure) {
            outcome = "failed";
            why = failure.getTrimmedTrace();
            if (failure.getDescription().getMethodName() == null) { // the class itself: no testFinished follows
                line(failure.getDescription());
            }
        }

        @Override
        public void testAssumptionFailure(Failure failure) {
            outcome = "skipped";
            why = String.valueOf(failure.getMessage());
        }

        @Override
        public void testIgnored(Description test) {
            outcome = "skipped";
            why = "@Ignore";
            start = System.nanoTime();
            line(test);
        }

        @Override
        public void testFinished(Description test) {
            line(test);
        }

        private void line(Description test) {
            long ms = (System.nanoTime() - start) / 1_000_000;
            String reason = Base64.getEncoder().encodeToString(why.getBytes(StandardCharsets.UTF_8));
            out.println(String.join("\t", outcome, test.getClassName(), String.valueOf(test.getMethodName()), "" + ms, reason));
            out.flush();
        }
    }
}
