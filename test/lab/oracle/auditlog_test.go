package oracle

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func line(user, verb, resource, name string, code int, message string) string {
	return fmt.Sprintf(`{"level":"Request","verb":%q,"user":{"username":%q},"objectRef":{"resource":%q,"namespace":%q,"name":%q},`+
		`"responseStatus":{"code":%d,"message":%q,"details":{"uid":"u"}},"requestReceivedTimestamp":"2030-01-01T00:10:00.123456Z"}`,
		verb, user, resource, space, name, code, message)
}

func TestParse(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		line    string
		matters bool
	}{
		"we write":                             {line(webhookUser, "create", "configmaps", "a", 201, ""), true},
		"we read":                              {line(webhookUser, "get", "configmaps", "a", 200, ""), false},
		"others create a ConfigMap":            {line(person, "create", "configmaps", "a", 201, ""), true},
		"others delete a ConfigMap":            {line(person, "delete", "configmaps", "a", 200, ""), true},
		"others edit a ConfigMap":              {line(person, "patch", "configmaps", "a", 200, ""), false},
		"others are refused because of us":     {line(person, "patch", "deployments", "a", 403, "configpin"), true},
		"others are refused because of others": {line(person, "patch", "deployments", "a", 403, "quota"), false},
		"a mark":                               {line(person, "get", "configmaps", markPrefix+"1", 404, "configpin"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, matters, err := parse([]byte(row.line))
			require.NoError(t, err)
			assert.Equal(t, row.matters, matters)
		})
	}
	e, _, err := parse([]byte(line(person, "delete", "configmaps", "a", 200, "")))
	require.NoError(t, err)
	want := deletion(person, "a", "u")
	want.At = want.At.Add(123456 * time.Microsecond)
	assert.Equal(t, want, e)
}

func TestParseTellsDryRuns(t *testing.T) {
	t.Parallel()
	const request = `{"level":%q,"verb":%q,"user":{"username":%q},"requestURI":%q,"objectRef":{"resource":"configmaps","name":"configpin"}%s}`
	for name, row := range map[string]struct {
		level, verb, user, uri, sent string
		want                         Entry
	}{
		"a deletion":                 {"Request", "delete", person, "/api/v1/namespaces/shop/configmaps/a", `,"requestObject":{"kind":"DeleteOptions"}`, Entry{Told: true}},
		"one of which less is known": {"Metadata", "delete", person, "/api/v1/namespaces/shop/configmaps/a", "", Entry{}},
		"a dry one by its address":   {"Request", "delete", person, "/api/v1/namespaces/shop/configmaps/a?dryRun=All", "", Entry{Told: true, Dry: true}},
		"a dry one by what it sends": {"Request", "deletecollection", person, "/api/v1/namespaces/shop/configmaps", `,"requestObject":{"dryRun":["All"]}`, Entry{Told: true, Dry: true}},
		"a dry creation":             {"Metadata", "create", person, "/api/v1/namespaces/shop/configmaps?dryRun=All&x=y", "", Entry{Dry: true}},
		"a patch of ours":            {"Request", "patch", versionerUser, "/a", `,"requestObject":{}`, Entry{Told: true, Sent: "{}"}},
		"a patch of others":          {"Request", "patch", person, "/a", `,"requestObject":{"a":"b"}`, Entry{Told: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, _, err := parse(fmt.Appendf(nil, request, row.level, row.verb, row.user, row.uri, row.sent))
			require.NoError(t, err)
			assert.Equal(t, row.want, Entry{Told: e.Told, Dry: e.Dry, Sent: e.Sent})
		})
	}
}

func TestAuditLogIsReadAsItGrows(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	add := func(text string) {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		_, err = file.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, file.Close())
	}
	names := func(a *auditLog) (found []string) {
		for _, e := range a.of(space) {
			found = append(found, e.Name)
		}
		return found
	}
	a := newAuditLog(path)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := line(person, "delete", configMaps, "first", 200, "")
	add(first[:20])
	go a.follow(ctx)
	add(first[20:] + "\n" + "configpin, but no JSON\n" + line(person, "delete", configMaps, "second", 200, "") + "\n")
	soon := func(want ...string) {
		t.Helper()
		require.Eventually(t, func() bool { return assert.ObjectsAreEqual(want, names(a)) }, 10*time.Second, pause)
	}
	soon("first", "second")
	require.NoError(t, os.Rename(path, path+".1"))
	add(line(person, "delete", configMaps, "third", 200, "") + "\n" + line(person, "get", configMaps, markPrefix+"1", 404, "") + "\n")
	soon("first", "second", "third")
	mark := a.nextMark()
	require.Eventually(t, func() bool {
		marked, err := a.marked(mark)
		return err == nil && marked
	}, 10*time.Second, pause)
	assert.Equal(t, 1, a.unreadableLines())
}

func TestAuditLogThatIsNotThere(t *testing.T) {
	t.Parallel()
	a := newAuditLog(filepath.Join(t.TempDir(), "none"))
	a.follow(t.Context())
	_, err := a.marked("any")
	assert.ErrorContains(t, err, "reading the audit log: ")
}
