# Nothing but Ruby's own library, 2.7 or newer. In Rails or Sinatra, keep
# verified? and give it request.body.read and the three headers.
require "openssl"
require "socket"

KEY = ENV.fetch("WEBHOOK_SECRET").delete_prefix("whsec_").unpack1("m")

def verified?(id, timestamp, signatures, body)
  return false unless id && signatures && timestamp.to_s.match?(/\A\d+\z/)
  return false if (Time.now.to_i - timestamp.to_i).abs > 300

  digest = OpenSSL::HMAC.digest("SHA256", KEY, "#{id}.#{timestamp}.#{body}")
  expected = "v1,#{[digest].pack('m0')}"
  # After a rotation there are several; one that matches is enough.
  signatures.split(" ").any? do |signature|
    signature.bytesize == expected.bytesize && OpenSSL.fixed_length_secure_compare(signature, expected)
  end
end

# Must be quick: queue the event and work later. The same id may come again;
# ignore those that you have had.
def handle(id, event)
  puts "#{id} #{event}"
end

server = TCPServer.new("127.0.0.1", ENV.fetch("PORT").to_i)
loop do
  Thread.new(server.accept) do |client|
    headers = {}
    client.gets # the request's line
    while (line = client.gets&.chomp) && !line.empty?
      name, value = line.split(":", 2)
      headers[name.downcase] = value.strip
    end
    body = client.read(headers["content-length"].to_i) || "" # the raw bytes
    if verified?(headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"], body)
      handle(headers["webhook-id"], body)
      client.write("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    else
      client.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    end
  ensure
    client.close
  end
end
