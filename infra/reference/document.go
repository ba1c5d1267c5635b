package main

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// node is a place in openapi.yaml. The zero node is where nothing stands.
type node struct{ *yaml.Node }

// entry is one key of a mapping.
type entry struct {
	key   string
	value node
}

// at returns what stands under the keys, one below the other.
func (n node) at(keys ...string) node {
	for _, key := range keys {
		found := node{}
		for _, e := range n.entries() {
			if e.key == key {
				found = e.value
			}
		}
		n = found
	}
	return n
}

// entries returns the keys of a mapping in their order.
func (n node) entries() (all []entry) {
	if n.Node == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		all = append(all, entry{n.Content[i].Value, node{n.Content[i+1]}})
	}
	return all
}

func (n node) items() (all []node) {
	if n.Node == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	for _, item := range n.Content {
		all = append(all, node{item})
	}
	return all
}

func (n node) text() string {
	if n.Node == nil {
		return ""
	}
	return strings.TrimSpace(n.Value)
}

func (n node) texts() (all []string) {
	for _, item := range n.items() {
		all = append(all, item.text())
	}
	return all
}

// has reports whether a list holds the text.
func (n node) has(text string) bool { return slices.Contains(n.texts(), text) }

// document is openapi.yaml.
type document struct{ root node }

func parse(source []byte) (document, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(source, &root); err != nil {
		return document{}, err
	}
	if len(root.Content) != 1 {
		return document{}, fmt.Errorf("%d documents in place of one", len(root.Content))
	}
	return document{node{root.Content[0]}}, nil
}

// resolve follows a reference, and names what it refers to.
func (d document) resolve(n node) (resolved node, name string) {
	for {
		ref := n.at("$ref").text()
		if ref == "" {
			return n, name
		}
		path := strings.Split(strings.TrimPrefix(ref, "#/"), "/")
		n, name = d.root.at(path...), path[len(path)-1]
	}
}
