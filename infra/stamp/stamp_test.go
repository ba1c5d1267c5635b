package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const built = `
Mappings:
  Stamps:
    AFunction: {Built: none}
    BFunction: {Built: none}
Globals:
  Function: {Runtime: provided.al2023}
Resources:
  AFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: AFunction
      Timeout: 15
      Environment: {Variables: {X: !Ref X}}
  BFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: BFunction, Timeout: 15}
`

// stamps builds, stamps and reads what was written.
func stamps(t *testing.T, template, programA, programB string) (a, b string) {
	t.Helper()
	folder := t.TempDir()
	for name, program := range map[string]string{"AFunction": programA, "BFunction": programB} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name, "bootstrap"), []byte(program), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(folder, "template.yaml")
	if err := os.WriteFile(file, []byte(template), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(file); err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Mappings struct {
			Stamps map[string]struct {
				Built string `yaml:"Built"`
			} `yaml:"Stamps"`
		} `yaml:"Mappings"`
	}
	if err := yaml.Unmarshal(out, &read); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(template, "!Ref X") && !strings.Contains(string(out), "!Ref X") {
		t.Errorf("the rest of the template did not stay:\n%s", out)
	}
	return read.Mappings.Stamps["AFunction"].Built, read.Mappings.Stamps["BFunction"].Built
}

func TestAStampChangesWithItsFunctionAlone(t *testing.T) {
	t.Parallel()
	a, b := stamps(t, built, "one", "two")
	if len(a) != digits || a == b {
		t.Fatalf("stamps %q and %q", a, b)
	}
	if againA, againB := stamps(t, built, "one", "two"); againA != a || againB != b {
		t.Error("the same build has other stamps the second time")
	}
	if otherA, otherB := stamps(t, built, "changed", "two"); otherA == a || otherB != b {
		t.Errorf("another program of A alone: %s to %s, and B %s to %s", a, otherA, b, otherB)
	}
	if otherA, otherB := stamps(t, strings.Replace(built, "Timeout: 15\n", "Timeout: 20\n", 1), "one", "two"); otherA == a || otherB != b {
		t.Errorf("another timeout of A alone: %s to %s, and B %s to %s", a, otherA, b, otherB)
	}
	if otherA, otherB := stamps(t, strings.Replace(built, "provided.al2023", "provided.al2029", 1), "one", "two"); otherA == a || otherB == b {
		t.Error("another runtime of both leaves their stamps")
	}
}

func TestATemplateThatCannotBeStampedIsRefused(t *testing.T) {
	t.Parallel()
	for name, template := range map[string]string{
		"empty":               "",
		"without a mapping":   "Resources: {}",
		"without a function":  "Mappings: {Stamps: {AFunction: {Built: none}}}",
		"without its program": built,
	} {
		file := filepath.Join(t.TempDir(), "template.yaml")
		if err := os.WriteFile(file, []byte(template), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := run(file); err == nil {
			t.Errorf("a template %s was stamped", name)
		}
	}
}
