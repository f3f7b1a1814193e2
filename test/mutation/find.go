package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
)

// finder finds the mutants of a package, and what has to be woven into a file for
// them to be there.
type finder struct {
	fset *token.FileSet
	info *types.Info

	mutants []mutant
	changes map[string]int // how often each was described

	// of the file that is walked
	name       string
	source     []byte
	insertions []insertion
	seen       map[ast.Expr]bool // parts of conditions that were dealt with

	in string // the declaration that is walked
}

// file walks a file, and returns it with the mutants woven in.
func (f *finder) file(name string, source []byte, syntax *ast.File) []byte {
	f.name, f.source, f.insertions, f.seen = name, source, nil, map[ast.Expr]bool{}
	for _, declaration := range syntax.Decls {
		switch declaration := declaration.(type) {
		case *ast.FuncDecl:
			f.in = nameOf(declaration)
			f.walk(declaration)
		case *ast.GenDecl:
			for _, spec := range declaration.Specs {
				if spec, is := spec.(*ast.ValueSpec); is && declaration.Tok == token.VAR {
					f.in = spec.Names[0].Name
					f.walk(spec)
				}
			}
		}
	}
	return weave(source, f.insertions)
}

func nameOf(function *ast.FuncDecl) string {
	if function.Recv == nil || len(function.Recv.List) == 0 {
		return function.Name.Name
	}
	receiver := function.Recv.List[0].Type
	if star, is := receiver.(*ast.StarExpr); is {
		receiver = star.X
	}
	if generic, is := receiver.(*ast.IndexExpr); is {
		receiver = generic.X
	}
	if named, is := receiver.(*ast.Ident); is {
		return named.Name + "." + function.Name.Name
	}
	return function.Name.Name
}

// walk asks outer pieces before inner ones, which is the order that weave needs.
func (f *finder) walk(root ast.Node) {
	ast.Inspect(root, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.IfStmt:
			f.condition(node.Cond, true, true)
		case *ast.ForStmt:
			if node.Cond != nil {
				f.condition(node.Cond, false, true) // a loop without an end proves nothing
			}
		case *ast.SwitchStmt:
			if node.Tag == nil {
				f.cases(node.Body.List)
			}
		case *ast.ReturnStmt:
			for _, result := range node.Results {
				f.returned(result)
			}
		case *ast.BlockStmt:
			f.calls(node.List)
		case *ast.CaseClause:
			f.calls(node.Body)
		case *ast.CommClause:
			f.calls(node.Body)
		case *ast.CompositeLit:
			f.literal(node)
		case *ast.BinaryExpr:
			f.condition(node, true, true)
		case *ast.UnaryExpr:
			if node.Op == token.NOT {
				f.condition(node, true, true)
			}
		}
		return true
	})
}

// add notes a mutant at a node, and returns its id.
func (f *finder) add(at ast.Node, change string) int {
	key := f.name + " " + f.in + " " + change
	f.changes[key]++
	m := mutant{
		id: len(f.mutants) + 1, file: f.name, line: f.fset.Position(at.Pos()).Line,
		in: f.in, change: change, nth: f.changes[key],
	}
	f.mutants = append(f.mutants, m)
	return m.id
}

func (f *finder) around(node ast.Node, before, behind string) {
	from, to := f.fset.Position(node.Pos()).Offset, f.fset.Position(node.End()).Offset
	order := len(f.insertions)
	f.insertions = append(f.insertions, insertion{from, false, order, before}, insertion{to, true, order, behind})
}

func (f *finder) text(node ast.Node) string {
	return string(f.source[f.fset.Position(node.Pos()).Offset:f.fset.Position(node.End()).Offset])
}

func (f *finder) becomes(node ast.Node, what string) string {
	return fmt.Sprintf("`%s` becomes %s", squeezed(f.text(node)), what)
}

// isBool says whether a piece has the type bool, and isn't known before the program
// runs.
func (f *finder) isBool(e ast.Expr) bool {
	known, found := f.info.Types[e]
	if !found || known.Value != nil || known.Type == nil {
		return false
	}
	basic, is := types.Unalias(known.Type).(*types.Basic)
	return is && basic.Info()&types.IsBoolean != 0
}

// condition changes a condition to a constant, and loses its operands. Among operands of
// "and" the one constant means that one is lost, and the other that all is false, which
// is tried once; so it is with "or".
func (f *finder) condition(e ast.Expr, yes, no bool) {
	inner := ast.Unparen(e)
	if f.seen[inner] || !f.isBool(e) {
		return
	}
	f.seen[inner] = true
	switch {
	case yes && no:
		f.around(e, fmt.Sprintf("(mutationOn(%d) || !mutationOn(%d) && (", f.add(e, f.becomes(e, "true")), f.add(e, f.becomes(e, "false"))), "))")
	case yes:
		f.around(e, fmt.Sprintf("(mutationOn(%d) || (", f.add(e, f.becomes(e, "true"))), "))")
	case no:
		f.around(e, fmt.Sprintf("(!mutationOn(%d) && (", f.add(e, f.becomes(e, "false"))), "))")
	}
	switch inner := inner.(type) {
	case *ast.UnaryExpr:
		f.condition(inner.X, false, false)
	case *ast.BinaryExpr:
		if inner.Op == token.LAND || inner.Op == token.LOR {
			f.operands(inner, inner.Op)
		} else {
			f.bound(inner)
		}
	}
}

// operands are those of a chain of one operator, however it is nested.
func (f *finder) operands(e *ast.BinaryExpr, chain token.Token) {
	for _, operand := range []ast.Expr{e.X, e.Y} {
		if longer, is := operand.(*ast.BinaryExpr); is && longer.Op == chain {
			f.seen[longer] = true
			f.operands(longer, chain)
			continue
		}
		f.condition(operand, chain == token.LAND, chain == token.LOR)
	}
}

// bounds are comparisons, and the same with the other side of the bound.
var bounds = map[token.Token]token.Token{token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR}

func (f *finder) bound(e *ast.BinaryExpr) {
	other, compares := bounds[e.Op]
	if !compares {
		return
	}
	changed := f.text(e.X) + " " + other.String() + " " + f.text(e.Y)
	id := f.add(e, f.becomes(e, "`"+squeezed(changed)+"`"))
	f.around(e, fmt.Sprintf("(mutationOn(%d) && (%s) || !mutationOn(%d) && (", id, changed, id), "))")
}

// returned changes a result, also one that is a constant.
func (f *finder) returned(result ast.Expr) {
	if name, is := result.(*ast.Ident); is && (name.Name == "true" || name.Name == "false") {
		f.seen[name] = true
		if name.Name == "true" {
			f.around(name, fmt.Sprintf("(!mutationOn(%d) && (", f.add(name, "`return true` becomes `return false`")), "))")
		} else {
			f.around(name, fmt.Sprintf("(mutationOn(%d) || (", f.add(name, "`return false` becomes `return true`")), "))")
		}
		return
	}
	f.condition(result, true, true)
}

// cases changes the conditions of a switch, and lets each case be asked before the
// one in front of it.
func (f *finder) cases(clauses []ast.Stmt) {
	for i, statement := range clauses {
		clause := statement.(*ast.CaseClause) // a switch has nothing else
		if i+1 < len(clauses) {
			f.swapCases(clause, clauses[i+1].(*ast.CaseClause))
		}
		for _, e := range clause.List {
			f.condition(e, true, true)
		}
	}
}

func (f *finder) swapCases(clause, next *ast.CaseClause) {
	if len(clause.List) == 0 || len(next.List) == 0 || fallsThrough(clause) {
		return
	}
	var firsts, seconds []string
	for _, e := range clause.List {
		firsts = append(firsts, f.text(e))
	}
	for _, e := range next.List {
		seconds = append(seconds, "("+f.text(e)+")")
	}
	first, second := strings.Join(firsts, ", "), strings.Join(seconds, " || ")
	id := f.add(clause, fmt.Sprintf("case `%s` comes after the next one", squeezed(first)))
	for _, e := range clause.List {
		f.around(e, "((", fmt.Sprintf(") && !(mutationOn(%d) && (%s)))", id, second))
	}
}

func fallsThrough(clause *ast.CaseClause) bool {
	return slices.ContainsFunc(clause.Body, func(s ast.Stmt) bool {
		branch, is := s.(*ast.BranchStmt)
		return is && branch.Tok == token.FALLTHROUGH
	})
}

// calls leaves out each call that is made for its effect.
func (f *finder) calls(statements []ast.Stmt) {
	for _, statement := range statements {
		expression, is := statement.(*ast.ExprStmt)
		if !is {
			continue
		}
		if call, is := expression.X.(*ast.CallExpr); is && f.hasEffect(call) {
			f.around(statement, fmt.Sprintf("if !mutationOn(%d) { ", f.add(call, f.leftOut(call))), " }")
		}
	}
}

func (f *finder) leftOut(node ast.Node) string {
	return fmt.Sprintf("`%s` is left out", squeezed(f.text(node)))
}

// effectless are packages whose calls nobody looks for in a unit test: locks are for
// the race detector, and logs for people.
var effectless = []string{"sync", "log", "log/slog", "github.com/go-logr/logr"}

func (f *finder) hasEffect(call *ast.CallExpr) bool {
	var name *ast.Ident
	switch callee := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		name = callee
	case *ast.SelectorExpr:
		name = callee.Sel
	default:
		return true
	}
	object := f.info.Uses[name]
	if _, builtin := object.(*types.Builtin); builtin {
		return name.Name != "panic" // the compiler counts on it
	}
	return object == nil || object.Pkg() == nil || !slices.Contains(effectless, object.Pkg().Path())
}

// literal leaves out the fields of a literal of a struct, and lets neighbours in a table
// change places.
func (f *finder) literal(literal *ast.CompositeLit) {
	known := f.info.Types[literal].Type
	if known == nil {
		return
	}
	switch kind := known.Underlying().(type) {
	case *types.Slice:
		f.rows(literal)
	case *types.Struct:
		for _, element := range literal.Elts {
			if pair, is := element.(*ast.KeyValueExpr); is {
				f.field(kind, pair)
			}
		}
	}
}

func (f *finder) rows(literal *ast.CompositeLit) {
	if literal.Type == nil || len(literal.Elts) < 2 {
		return
	}
	for _, element := range literal.Elts {
		if !f.isRow(element) {
			return
		}
	}
	first := len(f.mutants) + 1
	for _, element := range literal.Elts[:len(literal.Elts)-1] {
		f.add(element, fmt.Sprintf("row `%s` comes after the next one", squeezed(f.text(element))))
	}
	f.around(literal, fmt.Sprintf("mutationSwapped(%d, ", first), ")")
}

// isRow says whether an element of a list is one whose place matters: a literal, or a
// function that has a name.
func (f *finder) isRow(element ast.Expr) bool {
	switch element := element.(type) {
	case *ast.CompositeLit:
		return true
	case *ast.Ident:
		_, is := f.info.Uses[element].(*types.Func)
		return is
	}
	return false
}

func (f *finder) field(of *types.Struct, pair *ast.KeyValueExpr) {
	name, is := pair.Key.(*ast.Ident)
	if !is {
		return
	}
	value := f.info.Types[pair.Value]
	if value.Value != nil || value.IsNil() || f.isOperation(pair.Value) {
		return
	}
	for i := range of.NumFields() {
		if of.Field(i).Name() == name.Name && types.Identical(of.Field(i).Type(), value.Type) {
			f.around(pair.Value, fmt.Sprintf("mutationLeftOut(%d, ", f.add(pair, f.leftOut(pair))), ")")
		}
	}
}

// isOperation says whether a piece is a condition that is changed as such.
func (f *finder) isOperation(e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.BinaryExpr:
		return f.isBool(e)
	case *ast.UnaryExpr:
		return e.Op == token.NOT
	default:
		return false
	}
}

// relative is a path below the module, as everybody writes it.
func relative(root, path string) string {
	below, err := filepath.Rel(root, path)
	if err != nil {
		return path
	}
	return filepath.ToSlash(below)
}
