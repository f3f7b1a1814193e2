package admission

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/configpin/configpin/internal/workload"
)

var errTwice = errors.New("an object in it has a key twice")

// patchable says whether a patch of the object means what was read of it. That is
// so for all that an API server sends; it is for others, and asked only where there
// is a patch, since that is what it would be wrong about.
func patchable(kind *workload.Kind, object string) error {
	template := strings.Join(kind.Path, ".")
	for _, path := range []string{"metadata.labels", template + ".metadata", template + ".metadata.annotations"} {
		if found := gjson.Get(object, path); !found.IsObject() && found.Type != gjson.Null {
			return fmt.Errorf("its %s is no object", path)
		}
	}
	switch {
	case !gjson.Get(object, "metadata").IsObject():
		return errors.New("it has no metadata")
	case repeatsKey(object):
		return errTwice
	}
	return nil
}

// repeatsKey says whether an object in text, which is valid JSON, has a key twice.
// It goes through the text once, however deep that is, and keeps no more of it
// than where keys are.
func repeatsKey(text string) bool {
	var keys []string
	var begins []int // in keys, for each object that is open
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{':
			begins = append(begins, len(keys))
		case '}':
			begin := begins[len(begins)-1]
			if repeats(keys[begin:]) {
				return true
			}
			keys, begins = keys[:begin], begins[:len(begins)-1]
		case '"':
			end := endOfString(text, i)
			if strings.HasPrefix(strings.TrimLeft(text[end:], " \t\r\n"), ":") {
				keys = append(keys, unquote(text[i:end]))
			}
			i = end - 1
		}
	}
	return false
}

func repeats(keys []string) bool {
	slices.Sort(keys)
	for i := 1; i < len(keys); i++ {
		if keys[i] == keys[i-1] {
			return true
		}
	}
	return false
}

// endOfString is where the string that begins at begin has ended.
func endOfString(text string, begin int) int {
	for i := begin + 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

func unquote(quoted string) string {
	if !strings.Contains(quoted, `\`) {
		return quoted[1 : len(quoted)-1]
	}
	var text string
	_ = json.Unmarshal([]byte(quoted), &text) // valid, or it wouldn't have been found
	return text
}
