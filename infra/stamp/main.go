// Command stamp writes into a template that `sam build` has built what each
// function was built from. CloudFormation makes a new version of a function when
// this changes; of the code itself it is told a place only, and when.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// digits is how much of a digest a version's short description has room for.
const digits = 12

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: stamp <built template.yaml>")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "stamp:", err)
		os.Exit(1)
	}
}

// run stamps the functions that the template's mapping Stamps lists.
func run(file string) error {
	raw, err := os.ReadFile(file) //nolint:gosec // whoever builds names the file
	if err != nil {
		return err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(raw, &document); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if len(document.Content) == 0 {
		return fmt.Errorf("%s is empty", file)
	}
	template := document.Content[0]
	stamps := child(template, "Mappings", "Stamps")
	if stamps == nil {
		return fmt.Errorf("%s has no mapping Stamps", file)
	}
	for i := 0; i+1 < len(stamps.Content); i += 2 {
		name, built := stamps.Content[i].Value, child(stamps.Content[i+1], "Built")
		if built == nil {
			return fmt.Errorf("%s: the stamp of %s has no place for it", file, name)
		}
		stamp, err := of(template, name, filepath.Dir(file))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		built.SetString(stamp)
	}
	out, err := yaml.Marshal(&document)
	if err != nil {
		return err
	}
	return os.WriteFile(file, out, 0o644) //nolint:gosec // as sam writes it
}

// of is the stamp of a function: of its program, and of its settings as the
// template words them, without the parameters' values.
func of(template *yaml.Node, function, folder string) (string, error) {
	settings := child(template, "Resources", function, "Properties")
	code := child(settings, "CodeUri")
	if code == nil {
		return "", errors.New("the template says no CodeUri")
	}
	program, err := os.ReadFile(filepath.Join(folder, code.Value, "bootstrap")) //nolint:gosec // what was just built
	if err != nil {
		return "", err
	}
	words, err := yaml.Marshal([]*yaml.Node{orNull(child(template, "Globals", "Function")), settings})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(words, program...))
	return hex.EncodeToString(sum[:])[:digits], nil
}

// child follows keys through mappings; nil where there is none.
func child(node *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		if node == nil || node.Kind != yaml.MappingNode {
			return nil
		}
		var found *yaml.Node
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				found = node.Content[i+1]
			}
		}
		node = found
	}
	return node
}

func orNull(node *yaml.Node) *yaml.Node {
	if node == nil {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	}
	return node
}
