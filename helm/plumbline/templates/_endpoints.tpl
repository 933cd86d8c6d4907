{{/* Where each service is found, in the chart or outside, and which Secrets hold its credentials. All take the top context. */}}

{{- define "plumbline.postgres.host" -}}
{{- if .Values.postgres.enabled -}}{{ include "plumbline.name" (dict "root" . "component" "postgres") }}
{{- else -}}{{ required "postgres.external.host is needed where postgres.enabled is false" .Values.postgres.external.host }}{{- end -}}
{{- end -}}
{{- define "plumbline.postgres.port" -}}
{{- if .Values.postgres.enabled -}}{{ .Values.postgres.service.port }}{{- else -}}{{ .Values.postgres.external.port }}{{- end -}}
{{- end -}}
{{- define "plumbline.postgres.sslMode" -}}
{{- if .Values.postgres.enabled -}}disable{{- else -}}{{ .Values.postgres.external.sslMode }}{{- end -}}
{{- end -}}
{{- define "plumbline.postgres.secret" -}}
{{- .Values.postgres.auth.existingSecret | default (include "plumbline.name" (dict "root" . "component" "postgres")) -}}
{{- end -}}
{{/* Arguments: root, database. The password is not in the address: libpq reads PGPASSWORD. */}}
{{- define "plumbline.postgres.url" -}}
{{- $root := .root -}}
postgresql+psycopg://{{ $root.Values.postgres.auth.username }}@{{ include "plumbline.postgres.host" $root }}:{{ include "plumbline.postgres.port" $root }}/{{ .database }}?sslmode={{ include "plumbline.postgres.sslMode" $root }}
{{- end -}}
{{/* libpq's own variables. */}}
{{- define "plumbline.postgres.env" -}}
- {name: PGHOST, value: {{ include "plumbline.postgres.host" . | quote }}}
- {name: PGPORT, value: {{ include "plumbline.postgres.port" . | quote }}}
- {name: PGUSER, value: {{ .Values.postgres.auth.username | quote }}}
- {name: PGSSLMODE, value: {{ include "plumbline.postgres.sslMode" . | quote }}}
{{ include "plumbline.postgres.password" . }}
{{- end -}}
{{/* The CAs that an external server's certificate is checked by, where sslMode asks for it. */}}
{{- define "plumbline.postgres.ca" -}}
{{- $external := .Values.postgres.external -}}
{{- if and (not .Values.postgres.enabled) (hasPrefix "verify-" $external.sslMode) -}}
{{- if $external.caSecret -}}/etc/postgres-ca/{{ $external.caKey }}{{- else -}}{{ $external.caFile }}{{- end -}}
{{- end -}}
{{- end -}}
{{- define "plumbline.postgres.password" -}}
{{- with include "plumbline.postgres.ca" . -}}
- {name: PGSSLROOTCERT, value: {{ . | quote }}}
{{ end -}}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "plumbline.postgres.secret" . }}, key: {{ .Values.postgres.auth.passwordKey }}}}
{{- end -}}

{{- define "plumbline.redis.host" -}}
{{- if .Values.redis.enabled -}}{{ include "plumbline.name" (dict "root" . "component" "redis") }}
{{- else -}}{{ required "redis.external.host is needed where redis.enabled is false" .Values.redis.external.host }}{{- end -}}
{{- end -}}
{{- define "plumbline.redis.port" -}}
{{- if .Values.redis.enabled -}}{{ .Values.redis.service.port }}{{- else -}}{{ .Values.redis.external.port }}{{- end -}}
{{- end -}}
{{- define "plumbline.redis.secret" -}}
{{- .Values.redis.auth.existingSecret | default (include "plumbline.name" (dict "root" . "component" "redis")) -}}
{{- end -}}

{{- define "plumbline.objectstore.url" -}}
{{- if .Values.objectstore.enabled -}}http://{{ include "plumbline.name" (dict "root" . "component" "objectstore") }}:{{ .Values.objectstore.service.port }}
{{- else -}}{{ .Values.objectstore.external.endpointUrl }}{{- end -}}
{{- end -}}
{{- define "plumbline.objectstore.secret" -}}
{{- .Values.objectstore.auth.existingSecret | default (include "plumbline.name" (dict "root" . "component" "objectstore")) -}}
{{- end -}}
{{/* Without keys in the Secret an external store is reached by the pod's own identity (workload identity). */}}
{{- define "plumbline.objectstore.hasKeys" -}}
{{- if or .Values.objectstore.enabled .Values.objectstore.auth.existingSecret .Values.objectstore.auth.accessKeyId -}}true{{- end -}}
{{- end -}}

{{- define "plumbline.mlflow.url" -}}
{{- if .Values.mlflow.enabled -}}http://{{ include "plumbline.name" (dict "root" . "component" "mlflow") }}:{{ .Values.mlflow.service.port }}
{{- else -}}{{ required "mlflow.external.url is needed where mlflow.enabled is false" .Values.mlflow.external.url }}{{- end -}}
{{- end -}}
{{- define "plumbline.mlflow.secret" -}}
{{- .Values.mlflow.auth.existingSecret | default (include "plumbline.name" (dict "root" . "component" "mlflow")) -}}
{{- end -}}
{{- define "plumbline.mlflow.hasAuth" -}}
{{- if or .Values.mlflow.enabled .Values.mlflow.auth.existingSecret -}}true{{- end -}}
{{- end -}}

{{- define "plumbline.alertmanager.url" -}}
{{- if .Values.alertmanager.enabled -}}http://{{ include "plumbline.name" (dict "root" . "component" "alertmanager") }}:{{ .Values.alertmanager.service.port }}
{{- else -}}{{ .Values.alertmanager.external.url }}{{- end -}}
{{- end -}}
{{- define "plumbline.controller.webhook" -}}
http://{{ include "plumbline.name" (dict "root" . "component" "controller") }}:{{ .Values.controller.service.port }}/webhook/alertmanager
{{- end -}}

{{/*
Credentials of a container of ours, as environment variables.
Arguments: root, needs (list of: store, registry, online, tracking, pipelines).
*/}}
{{- define "plumbline.credentials" -}}
{{- $root := .root -}}
{{- $needs := .needs | default list -}}
{{- if and (has "store" $needs) (include "plumbline.objectstore.hasKeys" $root) }}
- name: PLUMBLINE_STORE__ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ include "plumbline.objectstore.secret" $root }}, key: {{ $root.Values.objectstore.auth.accessKeyIdKey }}}}
- name: PLUMBLINE_STORE__SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ include "plumbline.objectstore.secret" $root }}, key: {{ $root.Values.objectstore.auth.secretAccessKeyKey }}}}
{{- end }}
{{- if has "registry" $needs }}
{{ include "plumbline.postgres.password" $root }}
{{- end }}
{{- if has "online" $needs }}
- name: REDIS_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "plumbline.redis.secret" $root }}, key: {{ $root.Values.redis.auth.passwordKey }}}}
- name: PLUMBLINE_FEATURES__ONLINE_STORE
  value: {{ printf `{"type": "redis", "connection_string": "%s:%s,password=$(REDIS_PASSWORD)%s"}` (include "plumbline.redis.host" $root) (include "plumbline.redis.port" $root) (ternary ",ssl=true" "" (and (not $root.Values.redis.enabled) $root.Values.redis.external.tls)) | squote }}
{{- end }}
{{- if has "pipelines" $needs }}
{{ include "plumbline.kfp.token" $root }}
{{- end }}
{{- if and (has "tracking" $needs) (include "plumbline.mlflow.hasAuth" $root) }}
- name: MLFLOW_TRACKING_USERNAME
  valueFrom: {secretKeyRef: {name: {{ include "plumbline.mlflow.secret" $root }}, key: {{ $root.Values.mlflow.auth.usernameKey }}}}
- name: MLFLOW_TRACKING_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "plumbline.mlflow.secret" $root }}, key: {{ $root.Values.mlflow.auth.passwordKey }}}}
{{- end }}
{{- end -}}
