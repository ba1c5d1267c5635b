package sender_test

import (
	"bufio"
	"net"
	"net/http"
	"testing"
	"time"

	"webhookrelay/shared/webhook"
)

// FuzzAnswer lets a receiver answer with any bytes.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 410 Gone\r\n\r\n", "HTTP/1.1 429 \r\nRetry-After: 120\r\n\r\nslow",
		"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", "HTTP/1.1 503 x\r\nRetry-After: Wed, 21 Oct 2065 07:28:00 GMT\r\nContent-Length: 9999\r\n\r\nshort",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 999 ?\r\n\r\n",
		"HTTP/2 200\r\n\r\n", "HTTP/1.1 500 x\r\nWebhook-Delivery: disable\r\n\r\n", "nonsense", "",
	} {
		f.Add([]byte(seed))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = listener.Close() })
	answers := make(chan []byte, 1)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(time.Second))
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				select {
				case answer := <-answers:
					_, _ = conn.Write(answer)
				default: // the transport tries once more what it may repeat
				}
			}
			_ = conn.Close()
		}
	}()
	s, endpoint := newSender(f, loopback, 2*time.Second, "http://"+listener.Addr().String())
	f.Fuzz(func(t *testing.T, raw []byte) {
		for len(answers) > 0 {
			<-answers
		}
		answers <- raw
		got, err := s.Send(t.Context(), endpoint, event)
		switch {
		case err != nil:
			t.Fatal(err)
		case got.Aborted, got.RetryAfter < 0, len(got.Response) > webhook.MaxResponseKept:
			t.Fatalf("%q comes to %+v", raw, got)
		case got.Delivered() != (got.StatusCode >= 200 && got.StatusCode < 300):
			t.Fatalf("%q comes to %+v", raw, got)
		case got.StatusCode == 0 && (got.Reason == "" || got.Detail == ""):
			t.Fatalf("%q fails without a reason: %+v", raw, got)
		}
	})
}
