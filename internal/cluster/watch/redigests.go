package watch

import "sync"

// redigest is the digest, by a present key, of a snapshot that was made with another: it
// had to be read. It is empty if the snapshot isn't what it claims.
type redigest struct{ digest, key string }

// redigests are those of objects, by their UIDs. It is safe for concurrent use.
type redigests struct {
	mutex sync.RWMutex
	byUID map[string]redigest
}

func (r *redigests) of(uid string) redigest {
	r.mutex.RLock()
	defer r.mutex.RUnlock()
	return r.byUID[uid]
}

func (r *redigests) set(uid string, found redigest) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.byUID == nil {
		r.byUID = map[string]redigest{}
	}
	r.byUID[uid] = found
}

func (r *redigests) forget(uid string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.byUID, uid)
}
