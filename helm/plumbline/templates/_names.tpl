{{/* Every name and label is made here. Arguments are a dict: root (the top context) and component. */}}

{{- define "plumbline.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "plumbline.name" -}}
{{- printf "%s-%s" (include "plumbline.fullname" .root) .component -}}
{{- end -}}

{{- define "plumbline.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "plumbline.labels" -}}
{{ include "plumbline.selectorLabels" . }}
app.kubernetes.io/part-of: plumbline
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of pods: the selector's, and the user's. Not the version: it would roll every pod at every release. */}}
{{- define "plumbline.podLabels" -}}
{{ include "plumbline.selectorLabels" . }}
app.kubernetes.io/part-of: plumbline
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- with (.values | default dict).podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* metadata of an object: name, namespace, labels. */}}
{{- define "plumbline.metadata" -}}
name: {{ include "plumbline.name" . }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "plumbline.labels" . | nindent 2 }}
{{- end -}}
