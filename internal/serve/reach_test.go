package serve

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

// An answer that breaks off is none.
func TestReach(t *testing.T) {
	for name, test := range map[string]struct {
		code   int
		length string
		want   string // empty where it can be reached
	}{
		"it answers":               {http.StatusOK, "2", ""},
		"it answers that it can't": {http.StatusInternalServerError, "2", "reaching the API server: 500 Internal Server Error: ok"},
		"its answer never ends":    {http.StatusOK, "3", "reaching the API server: unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "/livez", r.URL.Path)
				w.Header().Set("Content-Length", test.length)
				w.WriteHeader(test.code)
				_, _ = w.Write([]byte("ok"))
			}))
			t.Cleanup(server.Close)
			reach, err := Reach(&rest.Config{Host: server.URL})
			require.NoError(t, err)
			err = reach(t.Context())
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			assert.EqualError(t, err, test.want)
		})
	}
}
