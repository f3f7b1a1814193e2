package node

import (
	"fmt"
	"net"
	"syscall"
	"unsafe"

	"github.com/configpin/configpin/test/lab/controlplane"
)

// connect gives the loopback interface, the only one so far, the address of the node and that of the API server's
// Service: both are this machine.
func connect() error {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	for name, address := range map[string]string{"lo": "127.0.0.1", "lo:node": Address, "lo:api": controlplane.ServiceAddress} {
		if err := assign(socket, name, parseIP(address)); err != nil {
			return fmt.Errorf("giving %s the address %s: %w", name, address, err)
		}
	}
	return nil
}

// request is the kernel's struct ifreq.
type request struct {
	name [syscall.IFNAMSIZ]byte
	data [24]byte
}

// assign sets the address of an interface, or of another name of one, and turns it on. The netmask is that of a single
// address: that of its class, which it has by default, would take in the Pods.
func assign(socket int, name string, ip net.IP) error {
	mask := net.CIDRMask(32, 32)
	if ip.IsLoopback() {
		mask = net.CIDRMask(8, 32)
	}
	for _, step := range []struct {
		command uintptr
		address []byte
	}{
		{syscall.SIOCSIFADDR, ip},
		{syscall.SIOCSIFNETMASK, mask},
	} {
		var r request
		copy(r.name[:], name)
		*(*uint16)(unsafe.Pointer(&r.data[0])) = syscall.AF_INET // a sockaddr_in: family, port, address
		copy(r.data[4:8], step.address)
		if err := control(socket, step.command, &r); err != nil {
			return err
		}
	}
	var r request
	copy(r.name[:], name)
	*(*uint16)(unsafe.Pointer(&r.data[0])) = syscall.IFF_UP | syscall.IFF_RUNNING
	return control(socket, syscall.SIOCSIFFLAGS, &r)
}

func control(socket int, command uintptr, r *request) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), command, uintptr(unsafe.Pointer(r))); errno != 0 {
		return errno
	}
	return nil
}
