{{/* Kubeflow Pipelines: addresses, Secrets, settings. All take the top context unless they say otherwise. */}}

{{- define "plumbline.kfp.apiHost" -}}
{{- include "plumbline.name" (dict "root" . "component" "kfp-api") -}}
{{- end -}}
{{- define "plumbline.kfp.url" -}}
{{- if .Values.kfp.enabled -}}http://{{ include "plumbline.kfp.apiHost" . }}:{{ .Values.kfp.apiServer.service.port }}
{{- else -}}{{ .Values.kfp.external.host }}{{- end -}}
{{- end -}}

{{/* The object store as KFP and Argo want it: host and port without a scheme, and whether it speaks TLS. */}}
{{- define "plumbline.kfp.storeEndpoint" -}}
{{- $url := include "plumbline.objectstore.url" . -}}
{{- if $url -}}{{ (urlParse $url).host }}{{- else -}}s3.{{ .Values.objectstore.region }}.amazonaws.com{{- end -}}
{{- end -}}
{{- define "plumbline.kfp.storeIsPlain" -}}
{{- if hasPrefix "http://" (include "plumbline.objectstore.url" .) -}}true{{- else -}}false{{- end -}}
{{- end -}}

{{- define "plumbline.kfp.databaseHost" -}}
{{- if .Values.kfp.mysql.enabled -}}{{ include "plumbline.name" (dict "root" . "component" "kfp-mysql") }}
{{- else -}}{{ required "kfp.database.external.host is needed where kfp.mysql.enabled is false" .Values.kfp.database.external.host }}{{- end -}}
{{- end -}}
{{- define "plumbline.kfp.databasePort" -}}
{{- if .Values.kfp.mysql.enabled -}}{{ .Values.kfp.mysql.service.port }}{{- else -}}{{ .Values.kfp.database.external.port }}{{- end -}}
{{- end -}}
{{- define "plumbline.kfp.databaseSecret" -}}
{{- .Values.kfp.database.auth.existingSecret | default (include "plumbline.name" (dict "root" . "component" "kfp-database")) -}}
{{- end -}}

{{- define "plumbline.kfp.runAccount" -}}
{{- include "plumbline.name" (dict "root" . "component" "kfp-run") -}}
{{- end -}}

{{/* The token of an existing KFP, for the pods of ours that speak to it. */}}
{{- define "plumbline.kfp.token" -}}
{{- if and (not .Values.kfp.enabled) .Values.kfp.external.tokenSecret.name -}}
- name: PLUMBLINE_PIPELINES__TOKEN
  valueFrom: {secretKeyRef: {name: {{ .Values.kfp.external.tokenSecret.name }}, key: {{ .Values.kfp.external.tokenSecret.key }}}}
{{- end -}}
{{- end -}}

{{/* What the settings file says about pipelines where there is a KFP. */}}
{{- define "plumbline.kfp.settings" -}}
{{- $kfp := .Values.kfp -}}
host: {{ include "plumbline.kfp.url" . }}
namespace: {{ ternary .Release.Namespace $kfp.external.namespace $kfp.enabled }}
runner: {{ ternary "kfp" "embedded" $kfp.runTrainings }}
{{- with (ternary (include "plumbline.kfp.runAccount" .) $kfp.external.serviceAccount $kfp.enabled) }}
service_account: {{ . }}
{{- end }}
image_pull_policy: {{ .Values.images.pullPolicy }}
{{- with .Values.global.imagePullSecrets }}
image_pull_secrets: {{ toJson . }}
{{- end }}
credentials:
  {{- if include "plumbline.objectstore.hasKeys" . }}
  PLUMBLINE_STORE__ACCESS_KEY_ID: {secret: {{ include "plumbline.objectstore.secret" . }}, key: {{ .Values.objectstore.auth.accessKeyIdKey }}}
  PLUMBLINE_STORE__SECRET_ACCESS_KEY: {secret: {{ include "plumbline.objectstore.secret" . }}, key: {{ .Values.objectstore.auth.secretAccessKeyKey }}}
  {{- end }}
  PGPASSWORD: {secret: {{ include "plumbline.postgres.secret" . }}, key: {{ .Values.postgres.auth.passwordKey }}}
  {{- if include "plumbline.mlflow.hasAuth" . }}
  MLFLOW_TRACKING_USERNAME: {secret: {{ include "plumbline.mlflow.secret" . }}, key: {{ .Values.mlflow.auth.usernameKey }}}
  MLFLOW_TRACKING_PASSWORD: {secret: {{ include "plumbline.mlflow.secret" . }}, key: {{ .Values.mlflow.auth.passwordKey }}}
  {{- end }}
steps:
  {{- range $name, $step := $kfp.runs.steps }}
  {{ $name }}: {{ include "plumbline.kfp.step" $step }}
  {{- else }} {}
  {{- end }}
schedules:
  {{- range $kfp.schedules }}
  - {{ dict "name" .name "pipeline" .pipeline "cron" .cron "parameters" (.parameters | default dict) "enabled" (ternary .enabled true (hasKey . "enabled")) "max_concurrency" (int (.maxConcurrency | default 1)) | toJson }}
  {{- else }} []
  {{- end }}
{{- end -}}

{{/* A step of values as the settings spell it; only what is given, so that the rest is taken from `default`. */}}
{{- define "plumbline.kfp.step" -}}
{{- $step := dict -}}
{{- $resources := .resources | default dict -}}
{{- range $kind := list "request" "limit" -}}
{{- $amounts := get $resources (printf "%ss" $kind) | default dict -}}
{{- range $unit := list "cpu" "memory" -}}
{{- with get $amounts $unit -}}{{- $_ := set $step (printf "%s_%s" $unit $kind) (toString .) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if hasKey . "gpus" -}}{{- $_ := set $step "gpus" (int .gpus) -}}{{- end -}}
{{- with .gpuResource -}}{{- $_ := set $step "gpu_resource" . -}}{{- end -}}
{{- with .nodeSelector -}}{{- $_ := set $step "node_selector" . -}}{{- end -}}
{{- with .tolerations -}}
{{- $taints := list -}}
{{- range . -}}{{- $taints = append $taints (pick . "key" "operator" "value" "effect") -}}{{- end -}}
{{- $_ := set $step "tolerations" $taints -}}
{{- end -}}
{{- with .timeoutSeconds -}}{{- $_ := set $step "timeout_seconds" (int .) -}}{{- end -}}
{{- toJson $step -}}
{{- end -}}

{{/*
What every container of the backend has in common. Arguments: root, values (image, command, args, env, resources),
and the chart's own command, args and env, which those of the values replace (command, args) or follow (env).
*/}}
{{- define "plumbline.kfp.container" -}}
image: {{ include "plumbline.image" (dict "root" .root "image" .values.image) }}
imagePullPolicy: {{ default .root.Values.images.pullPolicy .values.image.pullPolicy }}
{{- with (default .command .values.command) }}
command: {{ toJson . }}
{{- end }}
{{- with (default .args .values.args) }}
args: {{ toJson . }}
{{- end }}
{{ include "plumbline.containerSecurity" . }}
{{- with (concat (.env | default list) (.values.env | default list)) }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml .values.resources | nindent 2 }}
{{- end -}}

{{/* Waits until the API server answers: without it these controllers end after a minute, again and again. */}}
{{- define "plumbline.kfp.waitForApi" -}}
- name: wait-for-api
  {{- $script := printf "until wget -q -O /dev/null http://%s:%v/apis/v2beta1/healthz; do sleep 2; done" (include "plumbline.kfp.apiHost" .root) .root.Values.kfp.apiServer.service.port }}
  {{- $values := dict "image" .values.image "resources" .values.resources }}
  {{- include "plumbline.kfp.container" (dict "root" .root "values" $values "command" (default (list "/bin/sh" "-c" $script) .values.waitCommand)) | nindent 2 }}
{{- end -}}

{{/* Environment with the database's user and password under the names that a program reads. */}}
{{- define "plumbline.kfp.databaseEnv" -}}
{{- $secret := include "plumbline.kfp.databaseSecret" .root -}}
{{- $auth := .root.Values.kfp.database.auth -}}
- {name: {{ .userVariable }}, value: {{ $auth.username | quote }}}
- name: {{ .passwordVariable }}
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $auth.passwordKey }}}}
{{- end -}}

{{- define "plumbline.kfp.storeEnv" -}}
{{- if include "plumbline.objectstore.hasKeys" .root -}}
{{- $secret := include "plumbline.objectstore.secret" .root -}}
- name: {{ .idVariable }}
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ .root.Values.objectstore.auth.accessKeyIdKey }}}}
- name: {{ .keyVariable }}
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ .root.Values.objectstore.auth.secretAccessKeyKey }}}}
{{- else -}}
[]
{{- end -}}
{{- end -}}

{{/* A ServiceAccount, a Role and their binding. Arguments: root, component, rules (a list). */}}
{{- define "plumbline.kfp.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "plumbline.metadata" . | nindent 2 }}
  {{- with .root.Values.serviceAccountAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  {{- include "plumbline.metadata" . | nindent 2 }}
rules:
  {{- toYaml .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  {{- include "plumbline.metadata" . | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "plumbline.name" . }}
subjects:
  - kind: ServiceAccount
    name: {{ include "plumbline.name" . }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}

{{/* metadata and spec of a Deployment above its containers. Arguments: root, component, values, serviceAccount. */}}
{{- define "plumbline.kfp.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "plumbline.metadata" . | nindent 2 }}
spec:
  replicas: 1
  revisionHistoryLimit: 5
  {{- with .strategy }}
  strategy: {type: {{ . }}}
  {{- end }}
  selector:
    matchLabels:
      {{- include "plumbline.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "plumbline.podLabels" . | nindent 8 }}
      {{- with (merge (.annotations | default dict) (.values.podAnnotations | default dict)) }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "plumbline.podSpec" . | nindent 6 }}
{{- end -}}

{{- define "plumbline.kfp.service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "plumbline.metadata" . | nindent 2 }}
  {{- with .values.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .values.service.type | default "ClusterIP" }}
  selector:
    {{- include "plumbline.selectorLabels" . | nindent 4 }}
  ports:
    {{- toYaml .ports | nindent 4 }}
{{- end -}}
