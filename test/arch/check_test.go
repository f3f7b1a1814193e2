package arch

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	in := func(rel string, imports ...string) pkg {
		p := pkg{ImportPath: module + "/" + rel, Doc: "Package x is.", GoFiles: []string{"x.go"}}
		for _, path := range imports {
			if within(path, "internal", "cmd", "test", "manifests") {
				path = module + "/" + path
			}
			p.Imports = append(p.Imports, path)
		}
		p.Deps = p.Imports
		return p
	}
	with := func(p pkg, change func(*pkg)) pkg { change(&p); return p }

	for name, row := range map[string]struct {
		pkg  pkg
		want []string
	}{
		"a layer imports what is below it": {
			pkg: in("internal/pin", "internal/snapshot", "internal/wellknown", "strings", "time", "gomodules.xyz/jsonpatch/v2", "k8s.io/api/core/v1"),
		},
		"a layer reaches what the layers below it may import": {
			pkg: with(in("internal/pin", "internal/snapshot"), func(p *pkg) {
				p.Deps = append(slices.Clone(p.Deps), module+"/internal/hashing", "os", "net/http")
			}),
		},
		"a layer doesn't import upwards": {
			pkg:  in("internal/refs", "internal/pin"),
			want: []string{"internal/refs imports internal/pin: refs may import only wellknown"},
		},
		"the lowest layer imports nothing": {
			pkg:  in("internal/wellknown", "internal/refs"),
			want: []string{"internal/wellknown imports internal/refs: wellknown may import nothing of ours"},
		},
		"a layer doesn't import what only those below it may": {
			pkg:  in("internal/pin", "internal/hashing"),
			want: []string{"internal/pin imports internal/hashing: pin may import only refs, snapshot, wellknown and workload"},
		},
		"edges don't import each other": {
			pkg: in("internal/admission", "internal/cluster", "internal/pin", "internal/gc"),
			want: []string{"internal/admission imports internal/gc: admission may import only " +
				"cluster/live, ownership, cluster, hashing, pin, refs, retention, snapshot, wellknown and workload"},
		},
		"edges don't reach each other": {
			pkg: with(in("internal/gc", "internal/cluster"), func(p *pkg) { p.Deps = append(slices.Clone(p.Deps), module+"/internal/cli") }),
			want: []string{"internal/gc reaches internal/cli through what it imports: gc may reach only " +
				"cluster, cluster/census, hashing, pin, refs, retention, snapshot, wellknown and workload"},
		},
		"a program isn't linked with what another one does": {
			pkg:  with(in("cmd/versioner", "internal/rollout"), func(p *pkg) { p.Deps = append(slices.Clone(p.Deps), module+"/internal/cluster/ask") }),
			want: []string{"cmd/versioner reaches internal/cluster/ask: that is linked into other programs alone"},
		},
		"a layer doesn't import what is outside internal": {
			pkg:  in("internal/refs", "test/local"),
			want: []string{"internal/refs imports test/local: refs may import only wellknown"},
		},
		"a pure package can't reach anything": {
			pkg: in("internal/refs", "net/http", "log/slog"),
			want: []string{
				"internal/refs imports log/slog: refs is pure, and may import none of context, log, net, os and sync",
				"internal/refs imports net/http: refs is pure, and may import none of context, log, net, os and sync",
			},
		},
		"a pure package has no clients": {
			pkg: in("internal/hashing", "k8s.io/client-go/kubernetes"),
			want: []string{"internal/hashing imports k8s.io/client-go/kubernetes: hashing is pure, and may import only " +
				"the standard library, k8s.io/api, k8s.io/apimachinery and github.com/tidwall/gjson"},
		},
		"only pin knows JSON patches": {
			pkg: in("internal/refs", "gomodules.xyz/jsonpatch/v2"),
			want: []string{"internal/refs imports gomodules.xyz/jsonpatch/v2: refs is pure, and may import only " +
				"the standard library, k8s.io/api, k8s.io/apimachinery and github.com/tidwall/gjson"},
		},
		"an edge may do everything": {
			pkg: in("internal/versioner", "context", "sync", "sigs.k8s.io/controller-runtime"),
		},
		"an internal package has a row": {
			pkg:  in("internal/util"),
			want: []string{"internal/util is in no layer: give it a row in test/arch"},
		},
		"a package below a layer has a row of its own": {
			pkg:  in("internal/refs/deep"),
			want: []string{"internal/refs/deep is in no layer: give it a row in test/arch"},
		},
		"a folder is known": {
			pkg:  in("pkg/api"),
			want: []string{"pkg/api is in no folder that may hold packages: add it to test/arch"},
		},
		"a program imports what it wires": {
			pkg: in("cmd/webhook", "internal/admission", "internal/cluster", "os"),
		},
		"a program doesn't import what tests it": {
			pkg:  in("cmd/webhook", "test/local"),
			want: []string{"cmd/webhook imports test/local: cmd may import only internal and manifests"},
		},
		"a program's main is short": {
			pkg:  with(in("cmd/webhook"), func(p *pkg) { p.MainLines = 101 }),
			want: []string{"cmd/webhook/main.go has 101 lines: 100 are enough to read flags, wire, run and exit"},
		},
		"a suite stands on the lab": {
			pkg: in("test/plugin", "test/lab/terminal"),
		},
		"a suite imports no other suite": {
			pkg:  in("test/plugin", "test/conformance"),
			want: []string{"test/plugin imports test/conformance: test may import only certs, cmd, internal, manifests and test/lab"},
		},
		"nor does its test, or the lab": {
			pkg:  with(in("test/lab/terminal"), func(p *pkg) { p.XTestImports = []string{module + "/test/plugin"} }),
			want: []string{"test/lab/terminal imports test/plugin: test may import only certs, cmd, internal, manifests and test/lab"},
		},
		"the oracle knows the names of keys": {
			pkg: in("test/lab/oracle", "internal/wellknown", "k8s.io/client-go/dynamic"),
		},
		"the oracle doesn't know how a snapshot is named": {
			pkg:  in("test/lab/oracle", "internal/snapshot"),
			want: []string{"test/lab/oracle reaches internal/snapshot: it may reach only internal/wellknown"},
		},
		"nor do its tests": {
			pkg:  with(in("test/lab/oracle"), func(p *pkg) { p.TestImports = []string{module + "/internal/hashing"} }),
			want: []string{"test/lab/oracle reaches internal/hashing: it may reach only internal/wellknown"},
		},
		"a tool's main may be longer": {
			pkg: with(in("test/local"), func(p *pkg) { p.MainLines = 101 }),
		},
		"an assertion library is for tests": {
			pkg:  in("internal/cluster", "github.com/stretchr/testify/assert"),
			want: []string{"internal/cluster imports github.com/stretchr/testify/assert: only tests may"},
		},
		"what is below test is a test": {
			pkg: in("test/conformance", "github.com/stretchr/testify/assert", "testing"),
		},
		"a test imports an assertion library": {
			pkg: with(in("internal/cluster"), func(p *pkg) { p.XTestImports = []string{"github.com/stretchr/testify/assert"} }),
		},
		"nobody mocks": {
			pkg:  with(in("internal/cluster"), func(p *pkg) { p.TestImports = []string{"github.com/stretchr/testify/mock"} }),
			want: []string{"internal/cluster imports github.com/stretchr/testify/mock: write the fake by hand, and the test as a function"},
		},
		"a package explains itself": {
			pkg:  with(in("cmd/webhook"), func(p *pkg) { p.Doc = "" }),
			want: []string{"cmd/webhook has no package comment: say what it is and what it does not do"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, check([]pkg{row.pkg}))
		})
	}
}
