package cluster

import "sync"

// reading is the digest of what was read, and the key that it was made with.
type reading struct{ digest, key string }

// readings are those of objects, by their UIDs. It is safe for concurrent use.
type readings struct {
	mutex sync.RWMutex
	byUID map[string]reading
}

func (r *readings) of(uid string) reading {
	r.mutex.RLock()
	defer r.mutex.RUnlock()
	return r.byUID[uid]
}

func (r *readings) set(uid string, found reading) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.byUID == nil {
		r.byUID = map[string]reading{}
	}
	r.byUID[uid] = found
}

func (r *readings) forget(uid string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.byUID, uid)
}
