// Package check holds the tests of the project's structure: which package may
// import which, that template.yaml and the code agree, and what lies where. It
// has no code of its own.
package check
