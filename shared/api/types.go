package api

import (
	"encoding/json"
	"net/http"

	"webhookrelay/shared/catalogue"
	"webhookrelay/shared/webhook"
)

// maxTypeBytes and maxDocumentBytes bound what describes an event type, and an
// OpenAPI document to import.
const (
	maxTypeBytes     = 128 << 10
	maxDocumentBytes = 2 << 20
)

type typeView struct {
	Name        webhook.EventType `json:"name"`
	Group       string            `json:"group"`
	Description string            `json:"description"`
	Deprecated  bool              `json:"deprecated"`
	CreatedAt   timestamp         `json:"created_at"`
	UpdatedAt   timestamp         `json:"updated_at"`
}

type typeDetailView struct {
	typeView
	// Schema and Example are null where there is none.
	Schema  json.RawMessage `json:"schema"`
	Example json.RawMessage `json:"example"`
}

func viewType(t catalogue.Type) typeView {
	return typeView{
		Name: t.Name, Group: t.Group(), Description: t.Description, Deprecated: t.Deprecated,
		CreatedAt: timestamp(t.CreatedAt), UpdatedAt: timestamp(t.UpdatedAt),
	}
}

func viewTypeDetail(t catalogue.Type) typeDetailView {
	return typeDetailView{typeView: viewType(t), Schema: t.Schema, Example: t.Example}
}

func typeOf(r *http.Request) webhook.EventType { return webhook.EventType(r.PathValue("type")) }

func (m Manage) listTypes(w http.ResponseWriter, r *http.Request) error {
	values, err := query(r, "limit", "cursor", "prefix")
	if err != nil {
		return err
	}
	p, err := page(values, "event-types")
	if err != nil {
		return err
	}
	types, next, err := m.Types.List(r.Context(), webhook.EventType(values.Get("prefix")), p)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, newList("event-types", next, types, viewType))
	return nil
}

func (m Manage) getType(w http.ResponseWriter, r *http.Request) error {
	t, err := m.Types.Get(r.Context(), typeOf(r))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewTypeDetail(t))
	return nil
}

func (m Manage) putType(w http.ResponseWriter, r *http.Request) error {
	t := catalogue.Type{Name: typeOf(r)}
	err := decode(r, maxTypeBytes, fields{
		"description": into("description", "a string", &t.Description),
		"schema":      orNull(intoJSON(&t.Schema)),
		"example":     orNull(intoJSON(&t.Example)),
		"deprecated":  into("deprecated", "true or false", &t.Deprecated),
	})
	if err != nil {
		return err
	}
	t, change, err := m.Types.Put(r.Context(), t)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if change == catalogue.Created {
		status = http.StatusCreated
	}
	writeJSON(w, status, viewTypeDetail(t))
	return nil
}

// intoJSON keeps a member as it is written.
func intoJSON(target *[]byte) reader {
	return func(raw json.RawMessage) error {
		*target = raw
		return nil
	}
}

func (m Manage) deleteType(w http.ResponseWriter, r *http.Request) error {
	if err := m.Types.Delete(r.Context(), typeOf(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type importView struct {
	DryRun  bool           `json:"dry_run"`
	Refused int            `json:"refused"`
	Data    []importedView `json:"data"`
}

type importedView struct {
	Name string `json:"name"`
	// Change is created, updated, unchanged, or refused with Detail.
	Change string `json:"change"`
	Detail string `json:"detail,omitempty"`
}

func (m Manage) importTypes(w http.ResponseWriter, r *http.Request) error {
	var document []byte
	var view importView
	err := decode(r, maxDocumentBytes, fields{
		"openapi": intoJSON(&document),
		"dry_run": into("dry_run", "true or false", &view.DryRun),
	})
	if err != nil {
		return err
	}
	if document == nil {
		return &webhook.Invalid{Field: "openapi", Reason: "is required: an OpenAPI 3.1 document as a JSON object"}
	}
	imported, err := m.Types.Import(r.Context(), document, view.DryRun)
	if err != nil {
		return err
	}
	view.Data = make([]importedView, len(imported))
	for i, result := range imported {
		view.Data[i] = importedView{Name: result.Name, Change: string(result.Change), Detail: result.Refused}
		if result.Refused != "" {
			view.Data[i].Change = "refused"
			view.Refused++
		}
	}
	writeJSON(w, http.StatusOK, view)
	return nil
}
