{{/* What the stores of third parties have in common: a container of theirs, and the volume of their data. */}}

{{/*
Image, security, command, args, ports, resources and lifecycle of a third party's container, all from its values.
A probe that says when, but not what, asks what `asks` says: so a value that asks something else needs not take the default
away first. Arguments: root, values, port (its name), asks (a probe's handler; for readiness and start-up), alive (for liveness).
*/}}
{{- define "plumbline.theirs" -}}
{{- $values := .values -}}
image: {{ include "plumbline.image" (dict "root" .root "image" $values.image) }}
imagePullPolicy: {{ $values.image.pullPolicy | default .root.Values.images.pullPolicy }}
{{ include "plumbline.containerSecurity" . }}
{{- with $values.command }}
command:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.args }}
args:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - {name: {{ .port }}, containerPort: {{ $values.service.port }}}
{{- range $name := list "startupProbe" "readinessProbe" "livenessProbe" }}
{{- $probe := index $values $name }}
{{ $name }}:
  {{- if not (or $probe.exec $probe.httpGet $probe.tcpSocket $probe.grpc) }}
  {{- toYaml (ternary $.alive $.asks (eq $name "livenessProbe")) | nindent 2 }}
  {{- end }}
  {{- range $field, $value := $probe }}
  {{- if not (kindIs "invalid" $value) }}
  {{- toYaml (dict $field $value) | nindent 2 }}
  {{- end }}
  {{- end }}
{{- end }}
{{- with $values.preStop }}
lifecycle:
  preStop:
    exec:
      command:
        {{- toYaml . | nindent 8 }}
{{- end }}
resources:
  {{- toYaml $values.resources | nindent 2 }}
{{- end -}}

{{/* Arguments: root, component, values. The volume `data`: a claim, or a temporary folder. */}}
{{- define "plumbline.dataVolume" -}}
- name: data
  {{- if .values.persistence.enabled }}
  persistentVolumeClaim:
    claimName: {{ .values.persistence.existingClaim | default (include "plumbline.name" .) }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- end -}}

{{/* The claim of a store, where it has one of its own. Arguments: root, component, values. */}}
{{- define "plumbline.dataClaim" -}}
{{- if and .values.persistence.enabled (not .values.persistence.existingClaim) -}}
{{ include "plumbline.claim" (dict "root" .root "component" .component "persistence" .values.persistence) }}
{{- end -}}
{{- end -}}

{{/* A Service. Arguments: root, component, service (type, port, annotations), port (its name). */}}
{{- define "plumbline.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "plumbline.metadata" . | nindent 2 }}
  {{- with .service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .service.type | default "ClusterIP" }}
  selector:
    {{- include "plumbline.selectorLabels" . | nindent 4 }}
  ports:
    - name: {{ .port }}
      port: {{ .service.port }}
      targetPort: {{ .port }}
      {{- with .service.nodePort }}
      nodePort: {{ . }}
      {{- end }}
{{- end -}}
