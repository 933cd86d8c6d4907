{{/* Address of MLflow's database; and the auth app's file, which names the other one. Neither holds a password. */}}
{{- define "plumbline.mlflow.backend" -}}
{{ include "plumbline.postgres.url" (dict "root" . "database" .Values.postgres.databases.mlflow) }}
{{- end -}}

{{- define "plumbline.mlflow.authIni" -}}
[mlflow]
default_permission = {{ .Values.mlflow.auth.defaultPermission }}
database_uri = {{ include "plumbline.postgres.url" (dict "root" . "database" .Values.postgres.databases.mlflowAuth) }}
auth_cache_ttl_seconds = {{ .Values.mlflow.auth.cacheSeconds }}
{{- end -}}

{{/* Databases that the platform needs in Postgres, as the words of a command. */}}
{{- define "plumbline.mlflow.databases" -}}
{{- $names := .Values.postgres.databases -}}
{{- list $names.mlflow $names.mlflowAuth $names.feast | join ", " -}}
{{- end -}}

{{/* Host names that the server answers to: patterns over the whole Host header. */}}
{{- define "plumbline.mlflow.allowedHosts" -}}
{{- $name := include "plumbline.name" (dict "root" . "component" "mlflow") -}}
{{- $namespaced := printf "%s.%s" $name .Release.Namespace -}}
{{- $hosts := list $name (printf "%s:*" $name) $namespaced (printf "%s:*" $namespaced) (printf "%s.svc*" $namespaced) "localhost" "localhost:*" "127.0.0.1" "127.0.0.1:*" -}}
{{- with (include "plumbline.mlflow.ingressHost" .) -}}{{- $hosts = concat $hosts (list . (printf "%s:*" .)) -}}{{- end -}}
{{- join "," (concat $hosts .Values.mlflow.allowedHosts) -}}
{{- end -}}
{{- define "plumbline.mlflow.ingressHost" -}}
{{- if .Values.ingress.enabled -}}{{ .Values.ingress.hosts.mlflow }}{{- end -}}
{{- end -}}

{{/* Environment of the steps that change MLflow's tables; the server's own begins with it. */}}
{{- define "plumbline.mlflow.databaseEnv" -}}
- {name: MLFLOW_BACKEND_STORE_URI, value: {{ include "plumbline.mlflow.backend" . | quote }}}
- {name: MLFLOW_AUTH_CONFIG_PATH, value: /etc/mlflow/auth.ini}
{{ include "plumbline.postgres.password" . }}
{{- end -}}

{{- define "plumbline.mlflow.env" -}}
{{- $secret := include "plumbline.mlflow.secret" . -}}
{{- $auth := .Values.mlflow.auth -}}
{{ include "plumbline.mlflow.databaseEnv" . }}
- name: MLFLOW_AUTH_ADMIN_USERNAME
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $auth.usernameKey }}}}
- name: MLFLOW_AUTH_ADMIN_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $auth.passwordKey }}}}
- name: MLFLOW_FLASK_SERVER_SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $auth.flaskSecretKeyKey }}}}
{{- if include "plumbline.objectstore.hasKeys" . }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ include "plumbline.objectstore.secret" . }}, key: {{ .Values.objectstore.auth.accessKeyIdKey }}}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ include "plumbline.objectstore.secret" . }}, key: {{ .Values.objectstore.auth.secretAccessKeyKey }}}}
- {name: AWS_EC2_METADATA_DISABLED, value: "true"}
{{- end }}
- {name: AWS_DEFAULT_REGION, value: {{ .Values.objectstore.region | quote }}}
{{- with (include "plumbline.objectstore.url" .) }}
- {name: MLFLOW_S3_ENDPOINT_URL, value: {{ . | quote }}}
{{- end }}
# Its job workers are of no use here, and cost 500 MiB.
- {name: MLFLOW_SERVER_ENABLE_JOB_EXECUTION, value: "false"}
- {name: MLFLOW_DISABLE_TELEMETRY, value: "true"}
- {name: DO_NOT_TRACK, value: "true"}
{{- end -}}

{{/* Rolls the server when what it reads at its start changes, and only then. */}}
{{- define "plumbline.mlflow.annotations" -}}
checksum/config: {{ list (include "plumbline.mlflow.authIni" .) (include "plumbline.settings.yaml" . | fromYaml).store | toJson | sha256sum }}
{{ include "plumbline.authChecksum" (list .Values.mlflow.auth .Values.postgres.auth .Values.objectstore.auth) }}
{{- with .Values.mlflow.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}
