import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;

/** Pushes good records between requests that are refused, on the connections of one client. */
public class Push {
    /** A body that begins late, as one does that is still being made. */
    static final class Late extends InputStream {
        private final InputStream body = new ByteArrayInputStream("{}".getBytes(StandardCharsets.UTF_8));
        private boolean waited;

        @Override
        public int read() throws IOException {
            if (!waited) {
                waited = true;
                try {
                    Thread.sleep(50);
                } catch (InterruptedException error) {
                    throw new IOException(error);
                }
            }
            return body.read();
        }
    }

    public static void main(String[] args) throws Exception {
        String base = args[0];
        String key = args[1];
        int count = Integer.parseInt(args[2]);
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        int lost = 0;
        for (int nth = 0; nth < count; nth++) {
            HttpRequest.Builder strange = request(nth % 2 == 0 ? base + "/x" : base + "/healthz");
            try {
                client.send(strange.POST(late()).build(), BodyHandlers.ofString());
            } catch (IOException error) {
                System.out.println("a refused request has no answer: " + error);
                lost++;
            }
            long second = System.currentTimeMillis() / 1000;
            byte[] digest = MessageDigest.getInstance("SHA-256")
                .digest((key + second).getBytes(StandardCharsets.UTF_8));
            String body = "{\"datePush\":" + second + ",\"signature\":\"" + HexFormat.of().formatHex(digest)
                + "\",\"giccid\":\"8944501503181377993\",\"data_usage\":1,\"start_time\":" + (1713888842473L + nth) + "}";
            HttpRequest push = request(base + "/v1/data-usage").POST(BodyPublishers.ofString(body)).build();
            try {
                int status = client.send(push, BodyHandlers.ofString()).statusCode();
                if (status != 200) {
                    System.out.println("a good push was answered " + status);
                    lost++;
                }
            } catch (IOException error) {
                System.out.println("a good push has no answer: " + error);
                lost++;
            }
        }
        System.out.println(count + " good pushes, " + lost + " lost");
    }

    /** Two bytes that the head announces. */
    private static HttpRequest.BodyPublisher late() {
        return BodyPublishers.fromPublisher(BodyPublishers.ofInputStream(Late::new), 2);
    }

    private static HttpRequest.Builder request(String url) {
        return HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(20));
    }
}
