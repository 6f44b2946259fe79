import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.List;

/** Posts a body to a URL with Java's own client as it is by default, which offers HTTP/2 with every request. */
public class Ask {
  public static void main(String[] arguments) throws Exception {
    HttpClient client = HttpClient.newHttpClient();
    byte[] body = arguments[1].getBytes("UTF-8");
    List<HttpRequest.BodyPublisher> bodies =
        List.of(
            BodyPublishers.ofByteArray(body),
            BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body)), // in chunks
            BodyPublishers.ofByteArray(body));
    for (HttpRequest.BodyPublisher one : bodies) {
      HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0])).POST(one).build();
      HttpResponse<String> response = client.send(request, BodyHandlers.ofString());
      System.out.println(response.version() + " " + response.statusCode() + " " + response.body().replaceAll("\\s", ""));
    }
  }
}
