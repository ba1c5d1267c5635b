package main

import (
	"time"

	"webhookrelay/shared/client"
)

type keysCommand struct {
	remote
	Admin  bool       `help:"The installation's admin keys instead of a tenant's keys."`
	List   keysList   `cmd:"" default:"withargs" help:"List keys, oldest first."`
	Create keysCreate `cmd:"" help:"Make a key, and print it this once."`
	Revoke keysRevoke `cmd:"" help:"End a key everywhere within 30 seconds."`
}

var keyHeader = []string{"ID", "SCOPE", "NAME", "CREATED", "EXPIRES", "BY"}

func (s *session) keyRow(k client.Key) []string {
	return []string{k.ID, k.Scope, k.Name, s.time(k.CreatedAt), s.timeIf(k.ExpiresAt), k.CreatedBy}
}

// whose returns the tenant whose keys are meant; empty for the installation's.
func (c *keysCommand) whose(s *session) (*client.Client, string, error) {
	if c.Admin {
		relay, _, err := s.connect()
		return relay, "", err
	}
	return s.tenant()
}

type keysList struct{ listFlags }

// Run lists keys.
func (c keysList) Run(s *session, keys *keysCommand) error {
	relay, tenant, err := keys.whose(s)
	if err != nil {
		return err
	}
	if tenant == "" {
		return list(s, c.listFlags, keyHeader, relay.AllAdminKeys(s.ctx, c.options()), s.keyRow)
	}
	return list(s, c.listFlags, keyHeader, relay.AllKeys(s.ctx, tenant, c.options()), s.keyRow)
}

type keysCreate struct {
	Scope     string        `arg:"" optional:"" help:"What a tenant's key may do: tenant (everything), publish or read."`
	Name      string        `placeholder:"TEXT" help:"What it is for."`
	ExpiresIn time.Duration `placeholder:"2160h" help:"How long it works; for ever when left out."`
}

// Run makes a key and prints it, alone on standard output.
func (c keysCreate) Run(s *session, keys *keysCommand) error {
	relay, tenant, err := keys.whose(s)
	if err != nil {
		return err
	}
	if (tenant == "") != (c.Scope == "") {
		return usage("give the scope of a tenant's key: tenant, publish or read; or --admin without a scope")
	}
	wanted := client.NewKey{Scope: c.Scope, Name: c.Name}
	if c.ExpiresIn > 0 {
		wanted.ExpiresAt = new(s.now().Add(c.ExpiresIn))
	}
	var key client.CreatedKey
	if tenant == "" {
		key, err = relay.CreateAdminKey(s.ctx, wanted)
	} else {
		key, err = relay.CreateKey(s.ctx, tenant, wanted)
	}
	if err != nil {
		return err
	}
	s.note("The key is shown this once. Its id is %s.", key.ID)
	return s.show(key, key.Value)
}

type keysRevoke struct {
	Key string `arg:"" help:"The key's id, not the key."`
	Yes bool   `short:"y" help:"Do not ask."`
}

// Run revokes a key, after asking.
func (c keysRevoke) Run(s *session, keys *keysCommand) error {
	relay, tenant, err := keys.whose(s)
	if err != nil {
		return err
	}
	if err := s.confirm(c.Yes, "Revoke the key "+c.Key+"? What uses it is refused within 30 seconds."); err != nil {
		return err
	}
	if tenant == "" {
		err = relay.RevokeAdminKey(s.ctx, c.Key)
	} else {
		err = relay.RevokeKey(s.ctx, tenant, c.Key)
	}
	if err != nil {
		return err
	}
	s.note("Revoked %s.", c.Key)
	return nil
}
