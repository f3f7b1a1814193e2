package installation

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// admissionConfig has the API server read a kubeconfig, whose users are named after the webhooks that are shown their
// certificates.
const admissionConfig = `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: MutatingAdmissionWebhook
  configuration:
    apiVersion: apiserver.config.k8s.io/v1
    kind: WebhookAdmissionConfiguration
    kubeConfigFile: %q
`

// CallersArgs writes into a folder what makes the API server show a certificate to webhooks, both in PEM, and returns
// the arguments that it has to be started with. Where the webhook will listen isn't known then, so every webhook is
// shown it; NameCaller puts that right.
func CallersArgs(dir string, certificate, key []byte) ([]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("configuring who calls webhooks: %w", err)
	}
	config := filepath.Join(dir, "admission.yaml")
	err := errors.Join(
		os.WriteFile(filepath.Join(dir, "tls.crt"), certificate, 0o600),
		os.WriteFile(filepath.Join(dir, "tls.key"), key, 0o600),
		os.WriteFile(config, fmt.Appendf(nil, admissionConfig, callersFile(dir)), 0o600),
		writeCaller(dir, "*"),
	)
	if err != nil {
		return nil, fmt.Errorf("configuring who calls webhooks: %w", err)
	}
	return []string{"--admission-control-config-file=" + config}, nil
}

// NameCaller makes the webhook the only one that is shown the certificate of this folder. The API server has to be
// started again.
func (i *Installation) NameCaller(dir string) error {
	at, err := i.WebhookURL()
	if err != nil {
		return err
	}
	location, err := url.Parse(at)
	if err != nil {
		return fmt.Errorf("configuring who calls webhooks: %w", err)
	}
	return writeCaller(dir, location.Host)
}

func callersFile(dir string) string { return filepath.Join(dir, "callers.kubeconfig") }

func writeCaller(dir, host string) error {
	return clientcmd.WriteToFile(api.Config{AuthInfos: map[string]*api.AuthInfo{host: {
		ClientCertificate: filepath.Join(dir, "tls.crt"),
		ClientKey:         filepath.Join(dir, "tls.key"),
	}}}, callersFile(dir))
}

// WebhookURL is where the webhook answers.
func (i *Installation) WebhookURL() (string, error) {
	address, err := i.address(webhook)
	return "https://" + address, err
}

func (i *Installation) clientCA() string { return filepath.Join(i.options.Dir, "client-ca.crt") }

func (i *Installation) writeClientCA() error {
	if len(i.options.ClientCA) == 0 {
		return nil
	}
	if err := os.WriteFile(i.clientCA(), i.options.ClientCA, 0o600); err != nil {
		return fmt.Errorf("writing the client CA: %w", err)
	}
	return nil
}
