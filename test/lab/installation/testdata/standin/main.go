// Standin takes the flags of configpin's programs and does as little as can be told from doing nothing: as a webhook,
// it puts the label "seen" on what it is shown.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	kubeconfig := flag.String("kubeconfig", "", "")
	bind := flag.String("bind-address", "", "")
	certificates := flag.String("cert-dir", "", "")
	health := flag.String("health-address", "", "")
	flag.String("leader-election-namespace", "", "")
	flag.String("digest-key-namespace", "", "")
	label := flag.String("label", "yes", "")
	flag.Usage = func() {} // or what is wrong is far above the end of the log
	flag.Parse()

	if _, err := clientcmd.BuildConfigFromFlags("", *kubeconfig); err != nil {
		return err
	}
	errs := make(chan error)
	go func() {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
		errs <- http.ListenAndServe(*health, mux)
	}()
	if *bind != "" {
		mux := http.NewServeMux()
		mux.HandleFunc("POST /mutate", func(w http.ResponseWriter, r *http.Request) { mutate(w, r, *label) })
		go func() {
			errs <- http.ListenAndServeTLS(*bind,
				filepath.Join(*certificates, "tls.crt"), filepath.Join(*certificates, "tls.key"), mux)
		}()
	}
	return <-errs
}

func mutate(w http.ResponseWriter, r *http.Request, label string) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	kind := admissionv1.PatchTypeJSONPatch
	review.Response = &admissionv1.AdmissionResponse{
		UID:       review.Request.UID,
		Allowed:   true,
		PatchType: &kind,
		Patch:     fmt.Appendf(nil, `[{"op":"add","path":"/metadata/labels","value":{"seen":%q}}]`, label),
	}
	_ = json.NewEncoder(w).Encode(review)
}
