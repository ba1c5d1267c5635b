package main

import (
	"maps"
	"slices"

	"webhookrelay/shared/client"
)

type contextCommand struct {
	List contextList `cmd:"" default:"withargs" help:"List the contexts; * marks the current one."`
	Use  contextUse  `cmd:"" help:"Make a context the current one."`
	Set  contextSet  `cmd:"" help:"Add a context, or change the fields given."`
}

type contextList struct {
	JSON bool `name:"json" help:"Print one JSON object a line."`
}

// shownContext is a context without its key.
type shownContext struct {
	Name    string `json:"name"`
	Current bool   `json:"current"`
	URL     string `json:"url"`
	Tenant  string `json:"tenant"`
	Key     string `json:"key"`
}

// Run lists the contexts. Of keys it says only whether there is one.
func (c contextList) Run(s *session) error {
	s.remote.JSON = c.JSON
	file, err := s.readConfig()
	if err != nil {
		return err
	}
	out := s.table("", "NAME", "URL", "TENANT", "KEY")
	for _, name := range slices.Sorted(maps.Keys(file.Contexts)) {
		e := file.Contexts[name]
		shown := shownContext{Name: name, Current: name == file.Current, URL: e.URL, Tenant: e.Tenant, Key: "none"}
		switch {
		case e.KeyFile != "":
			shown.Key = "in " + e.KeyFile
		case e.Key != "":
			shown.Key = "set"
		}
		mark := ""
		if shown.Current {
			mark = "*"
		}
		if err := out.add(shown, mark, name, e.URL, e.Tenant, shown.Key); err != nil {
			return err
		}
	}
	if len(file.Contexts) == 0 {
		s.note("No contexts in %s. Add one: relay context set prod --url URL --tenant ID --key-file FILE", s.configPath())
	}
	return out.end()
}

type contextUse struct {
	Name string `arg:"" help:"Its name."`
}

// Run makes a context the current one.
func (c contextUse) Run(s *session) error {
	file, err := s.readConfig()
	if err != nil {
		return err
	}
	if _, known := file.Contexts[c.Name]; !known {
		return usage("there is no context %q; there are: %s", c.Name, file.names())
	}
	file.Current = c.Name
	if err := s.writeConfig(file); err != nil {
		return err
	}
	s.note("Commands now go to %s (%s).", c.Name, file.Contexts[c.Name].URL)
	return nil
}

type contextSet struct {
	Name     string  `arg:"" help:"Its name, such as prod."`
	URL      *string `name:"url" placeholder:"URL" help:"Address of the relay."`
	Tenant   *string `short:"t" placeholder:"ID" help:"Tenant that commands are about."`
	KeyFile  *string `xor:"key" placeholder:"FILE" help:"File that holds the key; it is read at each use."`
	KeyStdin bool    `xor:"key" help:"Read the key from standard input, and keep it in the file of contexts."`
}

// Run adds or changes a context. The first one becomes the current one.
func (c contextSet) Run(s *session) error {
	file, err := s.readConfig()
	if err != nil {
		return err
	}
	e := file.Contexts[c.Name]
	if c.URL != nil {
		e.URL = *c.URL
	}
	if _, err := client.New(client.Config{URL: e.URL}); err != nil {
		return usage("--url: %w", err)
	}
	if c.Tenant != nil {
		e.Tenant = *c.Tenant
	}
	switch {
	case c.KeyFile != nil:
		e.KeyFile, e.Key = *c.KeyFile, ""
	case c.KeyStdin:
		key, err := s.keyIn("--key-stdin", "-")
		if err != nil {
			return err
		}
		e.KeyFile, e.Key = "", key
	}
	file.Contexts[c.Name] = e
	if file.Current == "" {
		file.Current = c.Name
	}
	if err := s.writeConfig(file); err != nil {
		return err
	}
	s.note("Wrote %s to %s. Check it: relay doctor --context %s", c.Name, s.configPath(), c.Name)
	return nil
}
