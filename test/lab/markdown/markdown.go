// Package markdown reads the project's Markdown, so that tests can compare what is
// written with what is so: links with files, and commands (session.go) with what they
// do on a real control plane.
//
// It knows the Markdown that is written here and no more: ATX headings, fenced
// blocks, tables, inline links and code. It deliberately renders nothing.
package markdown

import (
	"regexp"
	"strconv"
	"strings"
)

// Document is a Markdown file. Line numbers begin with 1.
type Document struct {
	Path     string
	Headings []Heading
	Blocks   []Block
	Comments []Comment
	Tables   []Table
	Links    []Span // their targets
	Code     []Span // inline code, without the backticks
}

// Heading is a heading, and what a link to it ends in.
type Heading struct {
	Line   int
	Text   string
	Anchor string
}

// Block is a fenced block, with the text of the heading above it.
type Block struct {
	Section  string
	Line     int    // of the opening fence
	Language string // the first word behind it
	Lines    []string
}

// Comment is an HTML comment that has a line to itself.
type Comment struct {
	Line int
	Text string
}

// Table is a table, with the text of the heading above it.
type Table struct {
	Section string
	Rows    []Row
}

// Row is a row of a table, without the heading.
type Row struct {
	Line  int
	Cells []string
}

// Span is a piece of text.
type Span struct {
	Line int
	Text string
}

var (
	fenceLine   = regexp.MustCompile("^(\\s*)(```+|~~~+)\\s*(\\S*)")
	headingLine = regexp.MustCompile(`^#{1,6}\s+(.+?)\s*#*$`)
	commentLine = regexp.MustCompile(`^\s*<!--\s*(.*?)\s*-->\s*$`)
	ruleLine    = regexp.MustCompile(`^\s*\|[\s:|-]+\|\s*$`)
)

// Parse reads a Markdown file.
func Parse(path, text string) Document {
	p := parser{document: Document{Path: path}, anchors: map[string]int{}}
	for i, line := range strings.Split(text, "\n") {
		p.line(i+1, line)
	}
	p.inline()
	return p.document
}

type parser struct {
	document Document
	anchors  map[string]int
	prose    []string // the lines outside of blocks; others are empty

	fence   string // that closes the block we are in
	indent  int
	inTable bool // behind its heading and rule
	section string
}

func (p *parser) line(number int, line string) {
	if p.fence != "" {
		p.prose = append(p.prose, "")
		p.blockLine(line)
		return
	}
	if m := fenceLine.FindStringSubmatch(line); m != nil {
		p.prose = append(p.prose, "")
		p.fence, p.indent, p.inTable = m[2], len(m[1]), false
		p.document.Blocks = append(p.document.Blocks, Block{Section: p.section, Line: number, Language: m[3]})
		return
	}
	if m := commentLine.FindStringSubmatch(line); m != nil {
		p.prose = append(p.prose, "")
		p.document.Comments = append(p.document.Comments, Comment{Line: number, Text: m[1]})
		return
	}
	p.prose = append(p.prose, line)
	if m := headingLine.FindStringSubmatch(line); m != nil {
		p.section = m[1]
		p.document.Headings = append(p.document.Headings, Heading{Line: number, Text: m[1], Anchor: p.anchor(m[1])})
	}
	p.tableLine(number, line)
}

func (p *parser) blockLine(line string) {
	if strings.TrimSpace(line) == p.fence {
		p.fence = ""
		return
	}
	for range p.indent { // of a list that the block is in
		line = strings.TrimPrefix(line, " ")
	}
	block := &p.document.Blocks[len(p.document.Blocks)-1]
	block.Lines = append(block.Lines, line)
}

func (p *parser) tableLine(number int, line string) {
	trimmed := strings.TrimSpace(line)
	switch {
	case !strings.HasPrefix(trimmed, "|"):
		p.inTable = false
	case ruleLine.MatchString(line):
		p.inTable = true
		p.document.Tables = append(p.document.Tables, Table{Section: p.section})
	case p.inTable:
		table := &p.document.Tables[len(p.document.Tables)-1]
		cells := strings.Split(strings.Trim(trimmed, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		table.Rows = append(table.Rows, Row{Line: number, Cells: cells})
	}
}

var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N}\s_-]`)

// anchor is what GitHub makes of a heading. The second of one text is numbered.
func (p *parser) anchor(text string) string {
	anchor := strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(text), ""), " ", "-")
	again := p.anchors[anchor]
	p.anchors[anchor]++
	if again > 0 {
		anchor += "-" + strconv.Itoa(again)
	}
	return anchor
}

var (
	inlineLink    = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)`)
	referenceLink = regexp.MustCompile(`(?m)^\s*\[[^\]]+\]:\s*(\S+)`)
)

// inline finds code and links. Code may hold what looks like a link, so it is
// taken out first.
func (p *parser) inline() {
	text := strings.Join(p.prose, "\n")
	lineOf := func(at int) int { return 1 + strings.Count(text[:at], "\n") }
	rest := []byte(text)
	for at := 0; at < len(text); {
		ticks := countTicks(text[at:])
		if ticks == 0 {
			at++
			continue
		}
		length := codeLength(text[at+ticks:], ticks)
		if length < 0 {
			at += ticks
			continue
		}
		code := text[at+ticks : at+ticks+length]
		p.document.Code = append(p.document.Code, Span{Line: lineOf(at), Text: strings.TrimSpace(strings.ReplaceAll(code, "\n", " "))})
		for i := range code {
			if code[i] != '\n' {
				rest[at+ticks+i] = ' '
			}
		}
		at += ticks + length + ticks
	}
	for _, pattern := range []*regexp.Regexp{inlineLink, referenceLink} {
		for _, m := range pattern.FindAllSubmatchIndex(rest, -1) {
			p.document.Links = append(p.document.Links, Span{Line: lineOf(m[2]), Text: string(rest[m[2]:m[3]])})
		}
	}
}

func countTicks(text string) int { return len(text) - len(strings.TrimLeft(text, "`")) }

// codeLength is how far it is to the next run of as many backticks, in the same
// paragraph, or negative.
func codeLength(text string, ticks int) int {
	paragraph, _, _ := strings.Cut(text, "\n\n")
	for at := 0; at < len(paragraph); {
		switch n := countTicks(paragraph[at:]); n {
		case 0:
			at++
		case ticks:
			return at
		default:
			at += n
		}
	}
	return -1
}
