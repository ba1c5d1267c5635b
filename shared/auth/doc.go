// Package auth tells callers apart and says what each may do. A caller shows an
// API key, which the store knows by its digest, or a portal token, which is
// signed and stored nowhere.
package auth
