// A minimal ASP.NET Core app; nothing but .NET, 8 or newer.
using System.Security.Cryptography;
using System.Text;

var key = Convert.FromBase64String(Environment.GetEnvironmentVariable("WEBHOOK_SECRET")!["whsec_".Length..]);
var app = WebApplication.Create(args);

app.MapPost("/webhooks", async (HttpRequest request) =>
{
    using var buffer = new MemoryStream();
    await request.Body.CopyToAsync(buffer); // the raw bytes
    var body = buffer.ToArray();
    string id = request.Headers["webhook-id"].ToString();
    if (!Verified(id, request.Headers["webhook-timestamp"].ToString(), request.Headers["webhook-signature"].ToString(), body))
        return Results.BadRequest("bad signature");
    Handle(id, body);
    return Results.NoContent();
});

app.Run($"http://127.0.0.1:{Environment.GetEnvironmentVariable("PORT")}");

bool Verified(string id, string timestamp, string signatures, byte[] body)
{
    if (!long.TryParse(timestamp, out var sent) || Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - sent) > 300)
        return false;
    byte[] content = [.. Encoding.UTF8.GetBytes($"{id}.{timestamp}."), .. body];
    var expected = Encoding.UTF8.GetBytes("v1," + Convert.ToBase64String(HMACSHA256.HashData(key, content)));
    // After a rotation there are several; one that matches is enough.
    return signatures.Split(' ').Any(signature => CryptographicOperations.FixedTimeEquals(expected, Encoding.UTF8.GetBytes(signature)));
}

// Must be quick: queue the event and work later. The same id may come again;
// ignore those that you have had.
void Handle(string id, byte[] body) => Console.WriteLine($"{id} {Encoding.UTF8.GetString(body)}");
