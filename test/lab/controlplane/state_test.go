package controlplane

import (
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPortsAreRemembered(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ports.json")
	s, err := openState(file)
	require.NoError(t, err)
	first, err := s.port("a")
	require.NoError(t, err)
	second, err := s.port("b")
	require.NoError(t, err)
	assert.NotEqual(t, first, second)
	assert.GreaterOrEqual(t, first, firstPort)
	assert.LessOrEqual(t, first, lastPort)

	later, err := openState(file)
	require.NoError(t, err)
	again, err := later.port("a")
	require.NoError(t, err)
	assert.Equal(t, first, again)
}

func TestPortsThatSomebodyElseUsesAreForgottenTogether(t *testing.T) {
	s, err := openState(filepath.Join(t.TempDir(), "ports.json"))
	require.NoError(t, err)
	taken, err := s.port("a")
	require.NoError(t, err)
	_, err = s.port("b")
	require.NoError(t, err)
	kept, err := s.port("c")
	require.NoError(t, err)

	s.forgetTaken([]string{"a", "b"})
	assert.Len(t, s.ports, 3, "all of them are free")

	listener, err := net.Listen("tcp4", address(taken))
	require.NoError(t, err)
	defer listener.Close()
	s.forgetTaken([]string{"a", "b"})
	assert.Equal(t, map[string]int{"c": kept}, s.ports)
}
