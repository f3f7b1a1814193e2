package races

import (
	"bytes"
	"io"
	"net/http"
	"path"
	"sync"
	"time"

	"github.com/tidwall/gjson"
)

// absent are the kinds of which there is nothing in a race: its workload is a Deployment.
var absent = map[string]bool{
	"cronjobs": true, "statefulsets": true, "daemonsets": true, "jobs": true,
	"replicationcontrollers": true, "controllerrevisions": true, "podtemplates": true,
}

// unmade gives lists of these kinds the answer that the API server gave the first
// time, which was that there are none. They are steps as any list, before which sides
// stop, but two of three requests of a race would be about nothing.
type unmade struct {
	mutex   sync.Mutex
	answers map[string]reply // by URL
}

// reply is an answer that was given.
type reply struct {
	header http.Header
	body   []byte
}

func (u *unmade) before(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(request *http.Request) (*http.Response, error) {
		if request.Method != http.MethodGet || !absent[path.Base(request.URL.Path)] {
			return next.RoundTrip(request)
		}
		if again := u.again(request); again != nil {
			return again, nil
		}
		response, err := next.RoundTrip(request)
		if err != nil || response.StatusCode != http.StatusOK {
			return response, err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, err
		}
		u.remember(request, reply{response.Header, body})
		response.Body = io.NopCloser(bytes.NewReader(body))
		return response, nil
	})
}

// again is the answer to a request that was answered before, or nil.
func (u *unmade) again(request *http.Request) *http.Response {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	a, known := u.answers[request.URL.String()]
	if !known {
		return nil
	}
	header := a.header.Clone()
	header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	return &http.Response{
		StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(bytes.NewReader(a.body)), Request: request,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}

// remember keeps an answer, if it is a list of nothing.
func (u *unmade) remember(request *http.Request, a reply) {
	if items := gjson.GetBytes(a.body, "items"); !items.IsArray() || len(items.Array()) > 0 {
		return
	}
	u.mutex.Lock()
	defer u.mutex.Unlock()
	if u.answers == nil {
		u.answers = map[string]reply{}
	}
	u.answers[request.URL.String()] = a
}
