package portal

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"sync"
)

//go:embed assets
var assetFiles embed.FS

// asset is a file that pages load, under an address that changes with its bytes.
type asset struct {
	hash, kind string
	body       []byte
}

var assetKinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".LICENSE": "text/plain; charset=utf-8",
}

var assets = sync.OnceValue(func() map[string]asset {
	found := make(map[string]asset)
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		panic(err) // embedded
	}
	for _, entry := range entries {
		body, err := assetFiles.ReadFile("assets/" + entry.Name())
		if err != nil {
			panic(err) // embedded
		}
		sum := sha256.Sum256(body)
		found[entry.Name()] = asset{hex.EncodeToString(sum[:6]), assetKinds[path.Ext(entry.Name())], body}
	}
	return found
})

func serveAsset(w http.ResponseWriter, r *http.Request) {
	found, ok := assets()[r.PathValue("name")]
	if !ok || found.hash != r.PathValue("hash") {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", found.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(found.body) // the browser is gone; nothing is left to say
}
