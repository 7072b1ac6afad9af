"""Driftline beside the containers of other people's pods: the admission webhook around one pure function, `patching.patch`.

- `annotations`   what a pod may ask for, declared once as settings are
- `pod`           what is read of a pod
- `upstream`      which of the pod's ports is the service's, and how Driftline comes to stand before it
- `containers`    the containers and volumes that pods get
- `settings_text` what the Driftline in a pod is told, as the file that it reads
- `patching`      a pod to operations and warnings
- `operations`    operations of JSON Patch, made and applied
- `manifests`     files of manifests, injected without a cluster
- `review`        AdmissionReview: a request's bytes to a reply's
- `certificates`  certificates that the injector makes for itself
- `cluster`       the API server: the Secret and the webhook's configuration
- `renewal`       certificates shared by replicas, renewed in time, and trusted before they are shown
- `server`        HTTPS for the API server and for Prometheus
- `reference`     the annotations as the page docs/annotations.md
"""
