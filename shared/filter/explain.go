package filter

import (
	"encoding/json"
	"errors"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/parser"

	"webhookrelay/shared/webhook"
)

// Explanation says what a filter makes of an event, and why.
type Explanation struct {
	Matches bool
	// Fault is why the filter failed on the event; nil when it did not.
	Fault *Fault
	// Decided are the parts that settled it, such as the first of several conditions
	// that is false.
	Decided []Part
}

// Part is a part of an expression with its value.
type Part struct {
	Expression string
	// Line and Column count from 1.
	Line, Column int
	// Value is JSON; nil when there is none, as where the part failed.
	Value []byte
	// Fault says why it has no value; empty when it has.
	Fault string
	// Of are the values that it was made of.
	Of []Part
}

const (
	// maxValue bounds a value that is shown, in bytes; a longer one is left out.
	maxValue = 1000
	// maxParts bounds the values shown of one part.
	maxParts = 20
)

// Explain evaluates a filter on an event. *webhook.Invalid for field: it is none.
func Explain(field, expression string, e webhook.Event) (Explanation, error) {
	if err := Check(field, expression); err != nil {
		return Explanation{}, err
	}
	if expression == "" {
		return Explanation{Matches: true}, nil
	}
	checked, err := compile(expression)
	if err != nil {
		return Explanation{}, err
	}
	p, err := ready(checked, true)
	if err != nil {
		return Explanation{}, err
	}
	variables, fault := NewSubject(e).read()
	if fault != nil {
		return Explanation{Fault: fault}, nil
	}
	matches, details, _, err := p.run(variables)
	x := Explanation{Matches: matches}
	if failed, ok := errors.AsType[*Fault](err); ok {
		x.Fault = failed
	}
	if details != nil {
		w := walk{tree: p.tree, details: details}
		for _, part := range w.deciding(p.tree.Expr()) {
			x.Decided = append(x.Decided, w.part(part, true))
		}
	}
	return x, nil
}

// walk looks through an expression that was evaluated.
type walk struct {
	tree    *ast.AST
	details *cel.EvalDetails
}

func (w walk) value(e ast.Expr) ref.Val {
	if e.Kind() == ast.LiteralKind {
		return e.AsLiteral()
	}
	value, _ := w.details.State().Value(e.ID())
	return value
}

// deciding returns the parts of e to which its value is due.
func (w walk) deciding(e ast.Expr) []ast.Expr {
	if e.Kind() != ast.CallKind || !logical(e.AsCall().FunctionName()) {
		return []ast.Expr{e}
	}
	arguments := e.AsCall().Args()
	value := w.value(e)
	switch e.AsCall().FunctionName() {
	case operators.LogicalNot:
		return w.deciding(arguments[0])
	case operators.Conditional:
		chosen := arguments[2]
		switch w.value(arguments[0]) {
		case types.True:
			chosen = arguments[1]
		case types.False:
		default:
			return w.deciding(arguments[0])
		}
		return append(w.deciding(arguments[0]), w.deciding(chosen)...)
	case operators.LogicalAnd:
		if value == types.True {
			return append(w.deciding(arguments[0]), w.deciding(arguments[1])...)
		}
	case operators.LogicalOr:
		if value == types.False {
			return append(w.deciding(arguments[0]), w.deciding(arguments[1])...)
		}
	}
	// One argument settled it: the first that has the value of the whole, and, where
	// that is none, the first that failed.
	for _, argument := range arguments {
		if value != nil && w.value(argument) == value && !types.IsError(value) {
			return w.deciding(argument)
		}
	}
	for _, argument := range arguments {
		if of := w.value(argument); of == nil || types.IsError(of) {
			return w.deciding(argument)
		}
	}
	return []ast.Expr{e}
}

// part describes e, and what it was made of if that is asked for.
func (w walk) part(e ast.Expr, deep bool) Part {
	text, err := parser.Unparse(e, w.tree.SourceInfo())
	if err != nil {
		text = ""
	}
	p := Part{Expression: text}
	if place := w.tree.SourceInfo().GetStartLocation(e.ID()); place.Line() > 0 {
		p.Line, p.Column = place.Line(), place.Column()+1
	}
	value := w.value(e)
	switch failed, isError := value.(*types.Err); {
	case isError:
		p.Fault = failed.Error()
	case value != nil:
		p.Value = shown(value)
	}
	if deep {
		for _, operand := range operands(e) {
			if of := w.part(operand, false); of.Value != nil || of.Fault != "" {
				p.Of = append(p.Of, of)
			}
			if len(p.Of) == maxParts {
				break
			}
		}
	}
	return p
}

// operands returns the largest parts of e that stand for something of the event.
func operands(e ast.Expr) (found []ast.Expr) {
	switch e.Kind() {
	case ast.CallKind:
		if target := e.AsCall().Target(); target != nil && e.AsCall().IsMemberFunction() {
			found = append(found, operand(target)...)
		}
		for _, argument := range e.AsCall().Args() {
			found = append(found, operand(argument)...)
		}
	case ast.ComprehensionKind:
		found = operand(e.AsComprehension().IterRange())
	case ast.SelectKind:
		found = operand(e.AsSelect().Operand())
	}
	return found
}

func operand(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.IdentKind:
		return []ast.Expr{e}
	case ast.SelectKind:
		return []ast.Expr{e}
	case ast.CallKind:
		if e.AsCall().FunctionName() == operators.Index {
			return []ast.Expr{e}
		}
		return operands(e)
	}
	return nil
}

// shown is a value as JSON, nil where it has none or is too long.
func shown(value ref.Val) []byte {
	raw, err := json.Marshal(value.Value())
	if err != nil || len(raw) > maxValue {
		return nil
	}
	return raw
}
