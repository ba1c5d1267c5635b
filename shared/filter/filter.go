// Package filter decides which events an endpoint gets: by its state, by type and
// channel, and by its filter, an expression in CEL (https://cel.dev) over the event.
// It is the one place that does.
package filter

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"

	"webhookrelay/shared/webhook"
)

const (
	// maxCost bounds what a filter may cost on one event, in CEL's units: an
	// access or a comparison is one. It takes some 50 ms at worst.
	maxCost = 1_000_000
	// maxEventCost bounds what all filters of a tenant may cost on one event; the
	// dispatcher asks those that are left, each by itself.
	maxEventCost = 5 * maxCost

	// Sizes that a filter's cost is reckoned with before it is taken: of a list, or
	// of a string. Three loops in each other are refused, two are not.
	usualSize = 100

	// Bounds of a regular expression, which is a literal.
	maxPattern      = 500
	maxInstructions = 1000

	// maxDetail bounds what an attempt says, in bytes.
	maxDetail = 300

	// maxNesting bounds how deep an expression nests.
	maxNesting = 50
)

// language is what filters are written in: CEL's standard library over an event.
var language = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("type", cel.StringType),
		cel.Variable("id", cel.StringType),
		cel.Variable("timestamp", cel.TimestampType),
		cel.Variable("channels", cel.ListType(cel.StringType)),
		cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("data", cel.DynType),
		cel.EnableMacroCallTracking(),
		cel.ParserExpressionSizeLimit(webhook.MaxFilterLength),
		cel.ParserRecursionLimit(maxNesting),
	)
})

// Check returns a *webhook.Invalid for field unless expression is a filter: it
// compiles, yields true or false, and costs no more than is allowed. An empty one
// is none, and matches everything.
func Check(field, expression string) error {
	if expression == "" {
		return nil
	}
	_, err := compile(expression)
	if fault, ok := errors.AsType[*Fault](err); ok {
		return &webhook.Invalid{Field: field, Reason: fault.Error()}
	}
	return err
}

// Fault is what is wrong with an expression, or went wrong with it.
type Fault struct {
	// Line and Column count from 1; 0 where the whole is concerned.
	Line, Column int
	// Reason completes "<filter> …".
	Reason string
}

func (f *Fault) Error() string {
	if f.Line == 0 {
		return f.Reason
	}
	return fmt.Sprintf("%s (line %d, column %d)", f.Reason, f.Line, f.Column)
}

// Detail is what an attempt says of a filter that failed.
func Detail(fault error) string {
	text := "the endpoint's filter failed on the event: " + fault.Error()
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + "…"
	}
	return text
}

// compile returns the checked expression, or a *Fault.
func compile(expression string) (*cel.Ast, error) {
	if len(expression) > webhook.MaxFilterLength {
		return nil, &Fault{Reason: fmt.Sprintf("must be at most %d bytes", webhook.MaxFilterLength)}
	}
	env, err := language()
	if err != nil {
		return nil, fmt.Errorf("language of filters: %w", err)
	}
	checked, issues := env.Compile(expression)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return nil, &Fault{Line: first.Location.Line(), Column: first.Location.Column() + 1, Reason: "does not compile: " + first.Message}
	}
	if kind := checked.OutputType(); !kind.IsExactType(cel.BoolType) {
		return nil, &Fault{Reason: fmt.Sprintf("must yield true or false, not %s: compare it, such as data.paid == true", kind)}
	}
	if fault := checkPatterns(checked); fault != nil {
		return nil, fault
	}
	estimate, err := env.EstimateCost(checked, sizes{})
	if err != nil {
		return nil, &Fault{Reason: "has a cost that cannot be told: " + err.Error()}
	}
	if estimate.Max > maxCost {
		return nil, &Fault{Reason: fmt.Sprintf("may cost too much: %d, at most %d is allowed. Loop over less, or less deep", estimate.Max, uint64(maxCost))}
	}
	return checked, nil
}

// checkPatterns returns a fault unless every regular expression is a literal of
// bounded cost: one that came with an event could cost anything.
func checkPatterns(checked *cel.Ast) *Fault {
	var fault *Fault
	tree := checked.NativeRep()
	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != overloads.Matches || fault != nil {
			return
		}
		arguments := e.AsCall().Args()
		reason := patternFault(arguments[len(arguments)-1])
		if reason != "" {
			fault = at(tree, e.ID(), "matches: "+reason)
		}
	}))
	return fault
}

func patternFault(e ast.Expr) string {
	if e.Kind() != ast.LiteralKind {
		return "the regular expression must be a literal"
	}
	text, ok := e.AsLiteral().(types.String)
	if !ok {
		return "the regular expression must be a string"
	}
	if len(text) > maxPattern {
		return fmt.Sprintf("the regular expression must be at most %d bytes", maxPattern)
	}
	parsed, err := syntax.Parse(string(text), syntax.Perl)
	if err != nil {
		return err.Error()
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return err.Error()
	}
	if len(program.Inst) > maxInstructions {
		return "the regular expression repeats more than can be matched in time"
	}
	return ""
}

// at places a fault at a part of an expression.
func at(tree *ast.AST, id int64, reason string) *Fault {
	place := tree.SourceInfo().GetStartLocation(id)
	if place.Line() < 1 {
		return &Fault{Reason: reason}
	}
	return &Fault{Line: place.Line(), Column: place.Column() + 1, Reason: reason}
}

// sizes tells CEL how large the parts of an event usually are.
type sizes struct{}

// EstimateSize returns the usual size of what has no size of its own.
func (sizes) EstimateSize(cost.AstNode) *cost.SizeEstimate {
	return &cost.SizeEstimate{Max: usualSize}
}

// EstimateCallCost leaves the standard library's estimates as they are.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// program is an expression that is ready to be evaluated.
type program struct {
	tree *ast.AST
	cel.Program
}

// ready prepares a checked expression for evaluation, with all its parts' values
// kept if explained.
func ready(checked *cel.Ast, explained bool) (program, error) {
	env, err := language()
	if err != nil {
		return program{}, err
	}
	options := []cel.ProgramOption{cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize, cel.OptTrackCost)}
	if explained {
		options = []cel.ProgramOption{cel.CostLimit(maxCost), cel.EvalOptions(cel.OptExhaustiveEval, cel.OptTrackState, cel.OptTrackCost)}
	}
	made, err := env.Program(checked, options...)
	return program{checked.NativeRep(), made}, err
}

// run evaluates the program and returns what it cost too. An error is a *Fault.
func (p program) run(variables map[string]any) (matches bool, details *cel.EvalDetails, spent uint64, err error) {
	out, details, err := p.Eval(variables)
	if details != nil && details.ActualCost() != nil {
		spent = *details.ActualCost()
	}
	if err != nil {
		return false, details, spent, p.faultOf(err)
	}
	matches, ok := out.Value().(bool)
	if !ok {
		return false, details, spent, &Fault{Reason: fmt.Sprintf("yielded %s, not true or false", out.Type().TypeName())}
	}
	return matches, details, spent, nil
}

func (p program) faultOf(err error) *Fault {
	if placed, ok := errors.AsType[*types.Err](err); ok && placed.NodeID() != 0 {
		return at(p.tree, placed.NodeID(), placed.Error())
	}
	return &Fault{Reason: err.Error()}
}

// logical reports whether a call combines the verdicts of its arguments.
func logical(function string) bool {
	return function == operators.LogicalAnd || function == operators.LogicalOr || function == operators.LogicalNot || function == operators.Conditional
}
