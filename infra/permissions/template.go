package permissions

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Grant allows one action on one resource, which is named as in the template:
// "Table", "Table/index/failed", "DeliveryQueue".
type Grant struct {
	Action   string
	Resource string
}

// Grants reads, by function, what the role of each allows.
func Grants(template []byte) (map[string][]Grant, error) {
	var parsed struct {
		Resources map[string]struct {
			Type       string    `yaml:"Type"`
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(template, &parsed); err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	grants := make(map[string][]Grant)
	for name, resource := range parsed.Resources {
		if resource.Type != "AWS::Serverless::Function" {
			continue
		}
		var function struct {
			Role yaml.Node `yaml:"Role"`
		}
		if err := resource.Properties.Decode(&function); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		roleName := logical(function.Role)
		role, ok := parsed.Resources[roleName]
		if !ok {
			return nil, fmt.Errorf("%s has no role of its own", name)
		}
		allowed, err := roleGrants(role.Properties)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", roleName, err)
		}
		grants[name] = allowed
	}
	return grants, nil
}

type statement struct {
	Effect   string    `yaml:"Effect"`
	Action   yaml.Node `yaml:"Action"`
	Resource yaml.Node `yaml:"Resource"`
}

func roleGrants(properties yaml.Node) ([]Grant, error) {
	var role struct {
		ManagedPolicyArns []yaml.Node `yaml:"ManagedPolicyArns"`
		Policies          []yaml.Node `yaml:"Policies"`
	}
	if err := properties.Decode(&role); err != nil {
		return nil, err
	}
	if len(role.ManagedPolicyArns) > 0 {
		return nil, fmt.Errorf("managed policies allow what nobody lists")
	}
	var grants []Grant
	for _, node := range role.Policies {
		if node.Tag == "!If" {
			continue // what Lambda itself needs where a parameter says so; no call of the function's
		}
		var policy struct {
			PolicyDocument struct {
				Statement []statement `yaml:"Statement"`
			} `yaml:"PolicyDocument"`
		}
		if err := node.Decode(&policy); err != nil {
			return nil, err
		}
		for _, s := range policy.PolicyDocument.Statement {
			if s.Effect != "Allow" {
				return nil, fmt.Errorf("a statement that does not allow: %s", s.Effect)
			}
			for _, action := range list(s.Action) {
				for _, resource := range list(s.Resource) {
					grants = append(grants, Grant{action.Value, logical(*resource)})
				}
			}
		}
	}
	return grants, nil
}

// list returns the elements of a sequence, or the one value there is.
func list(node yaml.Node) []*yaml.Node {
	if node.Kind == yaml.SequenceNode && node.Tag != "!If" {
		return node.Content
	}
	return []*yaml.Node{&node}
}

// logical reduces !GetAtt X.Arn, !Ref X and !Sub '${X.Arn}/rest' to "X" or "X/rest",
// and leaves what is none of them. Of an !If it takes the first alternative.
func logical(node yaml.Node) string {
	if node.Tag == "!If" && len(node.Content) == 3 {
		return logical(*node.Content[1])
	}
	text := strings.NewReplacer("${", "", "}", "").Replace(node.Value)
	return strings.Replace(text, ".Arn", "", 1)
}

// Names maps what calls name to what the template does, for a deployed stack.
type Names map[string]string

// resolve returns the template's name of a resource as a call names it.
func (n Names) resolve(resource string) string {
	table, index, indexed := strings.Cut(resource, "/index/")
	if own, ok := n[table]; ok && indexed {
		return own + "/index/" + index
	}
	if own, ok := n[resource]; ok {
		return own
	}
	return resource
}

// Compare returns, as sentences in order, each use that the function's role does not
// allow, and each grant that no call used and no entry of spare explains. A use
// without a resource fits any.
func Compare(grants map[string][]Grant, used map[string][]Use, names Names, spare []Spare) []string {
	found := make(map[string]bool)
	for function, uses := range used {
		for _, use := range uses {
			resource := names.resolve(use.Resource)
			if !slices.ContainsFunc(grants[function], func(g Grant) bool {
				return g.Action == use.Action && (g.Resource == resource || resource == "")
			}) {
				found[fmt.Sprintf("%s calls %s on %s, which its role does not allow", function, use.Action, resource)] = true
			}
		}
	}
	for function, allowed := range grants {
		for _, g := range allowed {
			if !uses(used[function], g, names) && !slices.ContainsFunc(spare, func(s Spare) bool { return s.covers(function, g) }) {
				found[fmt.Sprintf("%s may call %s on %s, and never did", function, g.Action, g.Resource)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func uses(all []Use, g Grant, names Names) bool {
	return slices.ContainsFunc(all, func(u Use) bool {
		resource := names.resolve(u.Resource)
		return u.Action == g.Action && (resource == g.Resource || resource == "")
	})
}

// Spare is a grant that the recorded calls need not use, and why.
type Spare struct {
	// Function is empty for all of them; Resource for any.
	Function, Action, Resource string
	Why                        string
}

func (s Spare) covers(function string, g Grant) bool {
	return (s.Function == "" || s.Function == function) && s.Action == g.Action && (s.Resource == "" || s.Resource == g.Resource)
}
