package plugin

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf8"
)

// PictureFile is where the picture of a session is, and PictureSource the transcript that
// it is made from, from the root of the checkout.
const (
	PictureFile   = "docs/images/plugin.svg"
	PictureSource = "test/plugin/testdata/picture.txt"
)

// Measures of a picture, in pixels.
const (
	fontSize   = 13
	cellWidth  = 7.85 // of a character of most monospaced fonts at fontSize
	lineHeight = 18
	margin     = 18
	bar        = 30 // above the first line
)

// How fast a session is played, in seconds.
const (
	perCommand = 2.4 // until the next command is typed
	atTheEnd   = 6.0 // until it begins anew
)

// Picture draws the transcript of a session as a terminal in which one command after
// another appears, as SVG. Who doesn't like things to move sees all of them at once.
func Picture(transcript string) string {
	lines := strings.Split(strings.TrimRight(transcript, "\n"), "\n")
	columns, commands := 0, 0
	for _, line := range lines {
		columns = max(columns, utf8.RuneCountInString(line))
		if strings.HasPrefix(line, "$ ") {
			commands++
		}
	}
	width := int(float64(columns)*cellWidth) + 2*margin
	height := bar + len(lines)*lineHeight + 2*margin
	length := float64(commands)*perCommand + atTheEnd

	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title desc">`+"\n", width, height, width, height)
	fmt.Fprintf(&svg, "  <title id=\"title\">kubectl configpin: history, diff, undo</title>\n  <desc id=\"desc\">%s</desc>\n", html.EscapeString(transcript))
	svg.WriteString("  <!-- Made by `make generate` from " + PictureSource + ". -->\n  <style>\n")
	fmt.Fprintf(&svg, "    text { font-family: ui-monospace, \"SF Mono\", Menlo, Consolas, monospace; font-size: %dpx; fill: #d1d7e0; white-space: pre; }\n", fontSize)
	svg.WriteString("    .typed { fill: #ffffff; font-weight: 600; } .head { fill: #9198a1; } .added { fill: #3fb950; } .removed { fill: #f85149; } .place { fill: #56d4dd; } .said { fill: #d29922; }\n")
	svg.WriteString("    @media (prefers-reduced-motion: no-preference) {\n")
	for i := range commands {
		begins := float64(i) * perCommand / length * 100
		fmt.Fprintf(&svg, "      .c%d { animation: c%d %.1fs step-end infinite; } @keyframes c%d { 0%% { opacity: %d; } %.2f%% { opacity: 1; } }\n",
			i, i, length, i, map[bool]int{true: 1}[i == 0], begins)
	}
	svg.WriteString("    }\n  </style>\n")
	fmt.Fprintf(&svg, "  <rect width=\"%d\" height=\"%d\" rx=\"8\" fill=\"#0d1117\"/>\n", width, height)
	for i, colour := range []string{"#f85149", "#d29922", "#3fb950"} {
		fmt.Fprintf(&svg, "  <circle cx=\"%d\" cy=\"%d\" r=\"5\" fill=\"%s\"/>\n", margin+i*18, bar/2+2, colour)
	}
	draw(&svg, lines)
	svg.WriteString("</svg>\n")
	return svg.String()
}

func draw(svg *strings.Builder, lines []string) {
	command := -1
	for i, line := range lines {
		if strings.HasPrefix(line, "$ ") {
			if command >= 0 {
				svg.WriteString("  </g>\n")
			}
			command++
			fmt.Fprintf(svg, "  <g class=\"c%d\">\n", command)
		}
		if line == "" {
			continue
		}
		fmt.Fprintf(svg, "    <text x=\"%d\" y=\"%d\" class=\"%s\">%s</text>\n", margin, bar+margin+(i+1)*lineHeight-5, class(line), html.EscapeString(line))
	}
	if command >= 0 {
		svg.WriteString("  </g>\n")
	}
}

// class is how a line looks.
func class(line string) string {
	switch {
	case strings.HasPrefix(line, "$ "):
		return "typed"
	case strings.HasPrefix(line, "REVISION "), strings.HasPrefix(line, "WORKLOAD "), strings.HasPrefix(line, "---"), strings.HasPrefix(line, "+++"):
		return "head"
	case strings.HasPrefix(line, "@@"):
		return "place"
	case strings.HasPrefix(line, "-"):
		return "removed"
	case strings.HasPrefix(line, "+"):
		return "added"
	case strings.HasPrefix(line, "Warning:"):
		return "said"
	default:
		return "plain"
	}
}
