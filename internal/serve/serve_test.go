package serve_test

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/serve"
)

func TestWrongFlagsAreOneLine(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"an unknown flag":   {[]string{"--colour"}, "program: flag provided but not defined: -colour; see --help"},
		"a wrong value":     {[]string{"-v", "loud"}, `program: invalid value "loud" for flag -v: parse error; see --help`},
		"a stray argument":  {[]string{"now"}, `program: unexpected argument "now"; see --help`},
		"an unknown format": {[]string{"--log-format", "xml"}, `program: --log-format is "xml", not text or json; see --help`},
	} {
		t.Run(name, func(t *testing.T) {
			flags := serve.NewFlags("program", "does.", "")
			var said strings.Builder
			flags.SetOutput(&said)
			err := flags.Read(test.args)
			assert.EqualError(t, err, test.want)
			assert.NotContains(t, said.String(), "Flags:", "not the whole help")
		})
	}
}

func TestReachTellsAnAPIServerThatRefuses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "who are you?", http.StatusUnauthorized)
	}))
	defer server.Close()
	reach, err := serve.Reach(&rest.Config{Host: server.URL})
	require.NoError(t, err)
	assert.EqualError(t, reach(t.Context()), "reaching the API server: 401 Unauthorized: who are you?\n")
}

func TestConnectOutsideOfAPod(t *testing.T) {
	flags := serve.NewFlags("program", "does.", "")
	require.NoError(t, flags.Read(nil))
	_, err := flags.Connect()
	assert.EqualError(t, err, "finding the API server: this is no Pod: say where with --kubeconfig")
}

func TestHelpIsNoMistake(t *testing.T) {
	for _, asked := range []string{"--help", "--version"} {
		err := serve.NewFlags("program", "does.", "").Read([]string{asked})
		assert.ErrorIs(t, err, flag.ErrHelp)
	}
}

// address returns a free one. Nobody else listens below it by the time that it
// is used, or the test fails.
func address(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func get(t *testing.T, url string, config *tls.Config) (string, error) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

const (
	patience = 30 * time.Second // of a machine that does something else too
	pause    = 2 * time.Millisecond
)

func TestHealth(t *testing.T) {
	at := address(t)
	ctx, stop := context.WithCancel(t.Context())
	notReady := errors.New("still learning")
	served := make(chan error, 1)
	go func() { served <- serve.Health(ctx, at, func(context.Context) error { return notReady }) }()
	require.Eventually(t, func() bool {
		body, err := get(t, "http://"+at+"/healthz", nil)
		return err == nil && body == "ok\n"
	}, patience, pause)
	body, err := get(t, "http://"+at+"/readyz", nil)
	require.NoError(t, err)
	assert.Equal(t, "not ready: still learning\n", body)
	body, err = get(t, "http://"+at+"/metrics", nil)
	require.NoError(t, err)
	assert.Contains(t, body, "go_goroutines")
	stop()
	assert.NoError(t, <-served)
}

func TestReachTellsAnAPIServerThatIsAway(t *testing.T) {
	reach, err := serve.Reach(&rest.Config{Host: "https://" + address(t)})
	require.NoError(t, err)
	assert.ErrorContains(t, reach(t.Context()), "reaching the API server: ")
}
