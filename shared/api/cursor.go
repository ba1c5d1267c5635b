package api

import (
	"encoding/base64"
	"strings"

	"webhookrelay/shared/webhook"
)

// A cursor is opaque to callers: the list's name and the store's position in
// it. It holds no tenant, so it opens nothing that the path does not.

func encodeCursor(kind, position string) *string {
	if position == "" {
		return nil
	}
	cursor := base64.RawURLEncoding.EncodeToString([]byte(kind + "\n" + position))
	return &cursor
}

func decodeCursor(cursor, kind string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return "", webhook.ErrBadCursor
	}
	position, ok := strings.CutPrefix(string(raw), kind+"\n")
	if !ok || position == "" {
		return "", webhook.ErrBadCursor
	}
	return position, nil
}

// list is one page of any list.
type list[T any] struct {
	Data       []T     `json:"data"`
	NextCursor *string `json:"next_cursor"`
}

func newList[D, T any](kind, next string, items []D, view func(D) T) list[T] {
	l := list[T]{Data: make([]T, len(items)), NextCursor: encodeCursor(kind, next)}
	for i, item := range items {
		l.Data[i] = view(item)
	}
	return l
}
