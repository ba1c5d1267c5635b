// Package permissions compares the AWS calls that the functions make with the
// statements of their roles in template.yaml: each call must be allowed, and
// what is allowed must be used.
package permissions
