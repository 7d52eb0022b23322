import com.amazonaws.services.dynamodbv2.local.server.LocalDynamoDBRequestHandler;
import com.amazonaws.services.dynamodbv2.local.server.LocalDynamoDBServerHandler;
import java.net.InetSocketAddress;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.handler.ContextHandler;
import org.eclipse.jetty.server.handler.ContextHandlerCollection;

/**
 * Amazon's DynamoDB Local, in memory, on a free port of 127.0.0.1, which is printed. Its own main class listens on every
 * interface and reports its use to Amazon; this one does neither. It ends when its standard input does.
 */
final class Loopback {
    public static void main(String[] arguments) throws Exception {
        System.setProperty("org.eclipse.jetty.LEVEL", "WARN");
        var requests = new LocalDynamoDBRequestHandler(0, true, null, true, false);
        var contexts = new ContextHandlerCollection(new ContextHandler(new LocalDynamoDBServerHandler(requests, null)));
        var server = new Server(new InetSocketAddress("127.0.0.1", 0));
        server.setHandler(contexts);
        server.start();
        System.out.println(((ServerConnector) server.getConnectors()[0]).getLocalPort());
        System.in.transferTo(System.err);
        System.exit(0);
    }
}
