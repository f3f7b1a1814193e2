package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/wellknown"
)

// Our programs, as the component of their labels says (manifests/).
const webhook, versioner = "webhook", "versioner"

var programs = []string{webhook, versioner}

// ofComponent selects what belongs to one of our programs, however somebody has the chart
// name it.
func ofComponent(program string) cluster.Selector {
	return cluster.Selector{Labels: "app.kubernetes.io/part-of=configpin,app.kubernetes.io/component=" + program}
}

// settings are those of the installation, as far as they matter to others.
type settings struct {
	why                 string                        // what the versioner's are isn't known; empty if it is
	namespaces, secrets []string                      // as of cluster.Scope
	kinds               []schema.GroupVersionResource // beyond cluster.ReferenceKinds
	issues              string                        // the Secret with the webhook's certificate, where the versioner issues it
	unknownKinds        string                        // why kinds isn't known; empty if it is
	uncalled            string                        // why called isn't known; empty if it is
	called              labels.Selector               // by name: namespaces for which the webhook is called
}

var deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}

// readSettings reads them off the versioner's Deployment, and off the webhook
// configuration.
func (s *session) readSettings(ctx context.Context) settings {
	if s.settings == nil {
		found := s.findSettings(ctx)
		var err error
		if found.called, err = s.findCalled(ctx); err != nil {
			found.uncalled, found.called = cause(err).Error(), labels.Everything()
		}
		s.settings = &found
	}
	return *s.settings
}

func (s *session) findSettings(ctx context.Context) settings {
	deployment, err := s.deployment(ctx, versioner)
	if err == nil {
		return settingsOf(deployment)
	}
	why := fmt.Sprintf("the settings of configpin can't be read (%v)", cause(err))
	if apierrors.IsNotFound(err) {
		why = fmt.Sprintf("there is no configpin in namespace %s: say with --configpin-namespace where it is", s.home)
	}
	return settings{why: why, unknownKinds: why, namespaces: cluster.Everywhere, secrets: cluster.Everywhere}
}

// reading is what came of reading an object.
type reading struct {
	object gjson.Result
	err    error
}

// part is a part of the installation, read once, when it is asked for first.
func (s *session) part(name string, read func() (gjson.Result, error)) (gjson.Result, error) {
	is, done := s.parts[name]
	if !done {
		is.object, is.err = read()
		s.parts[name] = is
	}
	return is.object, is.err
}

// deployment is the Deployment of one of our programs. It fails with NotFound where there
// is none.
func (s *session) deployment(ctx context.Context, program string) (gjson.Result, error) {
	return s.part(program, func() (gjson.Result, error) { return s.readDeployment(ctx, program) })
}

func (s *session) readDeployment(ctx context.Context, program string) (gjson.Result, error) {
	found := gjson.Result{}
	for element, err := range s.reader.Every(ctx, deployments, s.home, ofComponent(program)) {
		if err != nil {
			return found, err
		}
		found = gjson.ParseBytes(element)
	}
	if !found.Exists() {
		return found, apierrors.NewNotFound(deployments.GroupResource(), program)
	}
	return found, nil
}

// webhookConfiguration has the API server call the webhook.
func (s *session) webhookConfiguration(ctx context.Context) (gjson.Result, error) {
	return s.part(configurationName, func() (gjson.Result, error) {
		raw, err := s.reader.One(ctx, mutating, metav1.NamespaceAll, configurationName)
		return gjson.ParseBytes(raw), err
	})
}

// findCalled reads for which namespaces the API server calls the webhook. Where that isn't
// installed, none is left out: that it's away is for check to say.
func (s *session) findCalled(ctx context.Context) (labels.Selector, error) {
	configuration, err := s.webhookConfiguration(ctx)
	if apierrors.IsNotFound(err) {
		return labels.Everything(), nil
	}
	if err != nil {
		return nil, err
	}
	read, err := labelSelector(configuration.Get("webhooks.0.namespaceSelector"))
	if err != nil {
		return nil, err
	}
	byName := metav1.LabelSelector{MatchExpressions: slices.DeleteFunc(read.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool {
		return r.Key != corev1.LabelMetadataName
	})}
	return metav1.LabelSelectorAsSelector(&byName)
}

// labelSelector reads a selector of an object in JSON. One that isn't there fits
// everything.
func labelSelector(field gjson.Result) (read metav1.LabelSelector, err error) {
	if field.Exists() {
		if err = json.Unmarshal([]byte(field.Raw), &read); err != nil {
			err = fmt.Errorf("reading a selector: %w", err)
		}
	}
	return read, err
}

func settingsOf(deployment gjson.Result) settings {
	read := settings{}
	all := false
	args := deployment.Get(`spec.template.spec.containers.#(name=="` + versioner + `").args`).Array()
	for i, arg := range args {
		flag, value, set := strings.Cut(strings.TrimLeft(arg.Str, "-"), "=")
		if !set && i+1 < len(args) {
			value = args[i+1].Str // of any flag but a switch
		}
		switch flag {
		case "namespaces":
			read.namespaces = append(read.namespaces, strings.Split(value, ",")...)
		case "secrets":
			on, err := strconv.ParseBool(value)
			all = !set || err == nil && on
		case "secrets-namespaces":
			read.secrets = append(read.secrets, strings.Split(value, ",")...)
		case "gc-reference-kinds":
			for kind := range strings.SplitSeq(value, ",") {
				if parsed, err := cluster.ParseKind(kind); err == nil { // or the versioner would not run
					read.kinds = append(read.kinds, parsed)
				}
			}
		case "issue-certificate":
			read.issues = certificateSecret(deployment)
		}
	}
	if len(read.namespaces) == 0 {
		read.namespaces = cluster.Everywhere
	}
	if all {
		read.secrets = read.namespaces
	}
	return read
}

// certificateSecret is the Secret with the webhook's certificate, as a program mounts it;
// empty where it mounts none.
func certificateSecret(deployment gjson.Result) string {
	return deployment.Get(`spec.template.spec.volumes.#(name=="certificate").secret.secretName`).Str
}

// unserved says why sources of a kind aren't served in a namespace, or nothing where
// they are.
func (s settings) unserved(kind wellknown.Kind, namespace string) string {
	scope := cluster.Scope{Namespaces: s.namespaces, Secrets: s.secrets}
	switch {
	case slices.Contains(wellknown.UntouchedNamespaces, namespace), !scope.Serves(wellknown.ConfigMap, namespace),
		s.called != nil && !s.called.Matches(labels.Set{corev1.LabelMetadataName: namespace}):
		return "configpin does not serve this namespace"
	case !scope.Serves(kind, namespace):
		return "Secrets are not served"
	default:
		return ""
	}
}
