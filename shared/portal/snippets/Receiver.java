import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

// Nothing but the JDK, 11 or newer.
public class Receiver {
  private static final String SECRET = System.getenv("WEBHOOK_SECRET");

  public static void main(String[] args) throws IOException {
    int port = Integer.parseInt(System.getenv("PORT"));
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
    server.createContext("/webhooks", Receiver::receive);
    server.start();
  }

  private static void receive(HttpExchange request) throws IOException {
    byte[] body = request.getRequestBody().readAllBytes(); // the raw bytes
    String id = request.getRequestHeaders().getFirst("webhook-id");
    String timestamp = request.getRequestHeaders().getFirst("webhook-timestamp");
    String signatures = request.getRequestHeaders().getFirst("webhook-signature");
    if (!verified(id, timestamp, signatures, body)) {
      request.sendResponseHeaders(400, -1);
    } else {
      handle(id, body);
      request.sendResponseHeaders(204, -1);
    }
    request.close();
  }

  static boolean verified(String id, String timestamp, String signatures, byte[] body) {
    if (id == null || timestamp == null || signatures == null) {
      return false;
    }
    try {
      long age = Instant.now().getEpochSecond() - Long.parseLong(timestamp);
      if (Math.abs(age) > 300) {
        return false;
      }
      byte[] key = Base64.getDecoder().decode(SECRET.substring("whsec_".length()));
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(key, "HmacSHA256"));
      mac.update((id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
      String expected = "v1," + Base64.getEncoder().encodeToString(mac.doFinal(body));
      for (String signature : signatures.split(" ")) {
        if (MessageDigest.isEqual(expected.getBytes(StandardCharsets.UTF_8), signature.getBytes(StandardCharsets.UTF_8))) {
          return true; // after a rotation there are several; one is enough
        }
      }
      return false;
    } catch (GeneralSecurityException | NumberFormatException e) {
      return false;
    }
  }

  // Must be quick: queue the event and work later. The same id may come again;
  // ignore those that you have had.
  private static void handle(String id, byte[] event) {
    System.out.println(id + " " + new String(event, StandardCharsets.UTF_8));
  }
}
