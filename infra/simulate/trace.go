package simulate

import (
	"fmt"
	"strings"

	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/sweep"
	"webhookrelay/shared/webhook"
)

func (w *World) tracef(format string, args ...any) {
	if w.config.Trace != nil {
		w.config.Trace(fmt.Sprintf("%s  %s", w.Now().Format("02 15:04:05.000"), fmt.Sprintf(format, args...)))
	}
}

func (w *World) label(p *process) string { return fmt.Sprintf("%s#%d", p.name, p.number) }

// names replaces the random part of references, so that the traces of two runs
// of one seed are equal, and readable.
type names map[webhook.EventRef]string

func (n names) event(ref webhook.EventRef) {
	if n[ref] == "" {
		n[ref] = fmt.Sprint("event", len(n)+1)
	}
}

func (n names) in(text string) string {
	for ref, name := range n {
		text = strings.ReplaceAll(text, string(ref), name)
	}
	return text
}

// list names several things in one line.
func list[T any](things []T, name func(T) string) string {
	words := make([]string, len(things))
	for i, thing := range things {
		words[i] = name(thing)
	}
	return strings.Join(words, ", ")
}

// describe puts an answer into a few words.
func describe[T any](v T) string {
	switch v := any(v).(type) {
	case nil, struct{}:
		return "ok"
	case error:
		return v.Error()
	case []dispatch.Loaded:
		return list(v, describe[dispatch.Loaded])
	case dispatch.Loaded:
		text := "no row"
		if l := v.Delivery; l != nil {
			text = describe(*l)
		}
		if v.Endpoint == nil {
			text += ", no endpoint"
		} else if v.Endpoint.State != webhook.EndpointEnabled {
			text += ", endpoint " + string(v.Endpoint.State)
		}
		if v.Event == nil {
			text += ", no event"
		}
		return text
	case webhook.Delivery:
		return fmt.Sprintf("%s rev %d, %d attempts (%d before budget), next %s", v.State, v.Rev, v.AttemptCount, v.BudgetStart, v.NextAttemptAt.Format("02 15:04:05"))
	case ingest.Claim:
		return fmt.Sprintf("ref %s done %v at %s", v.Ref, v.Done, v.At.Format("02 15:04:05.000"))
	case webhook.Event:
		return fmt.Sprintf("targets %v unsent %v", v.Targets, v.Unsent)
	case page[webhook.Delivery]:
		return fmt.Sprintf("%d items, next %q", len(v.items), v.next)
	case sweep.State:
		return fmt.Sprintf("%+v", v)
	}
	return "ok"
}
