<?php
// Nothing but PHP, 8.0 or newer.

function verified(string $id, string $timestamp, string $signatures, string $body): bool
{
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > 300) {
        return false;
    }
    $key = base64_decode(substr(getenv('WEBHOOK_SECRET'), strlen('whsec_')));
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    foreach (explode(' ', $signatures) as $signature) {
        if (hash_equals($expected, $signature)) {
            return true; // after a rotation there are several; one is enough
        }
    }
    return false;
}

// Must be quick: queue the event and work later. The same id may come again;
// ignore those that you have had.
function handle(string $id, string $event): void
{
    error_log("$id $event");
}

$body = file_get_contents('php://input'); // the raw bytes
$id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
if (!verified($id, $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '', $body)) {
    http_response_code(400);
    exit('bad signature');
}
handle($id, $body);
http_response_code(204);
