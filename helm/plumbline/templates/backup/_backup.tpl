{{/* What backup and restore have in common. All take the top context. */}}

{{/* Options that name the place of the backups, as the words of a command. */}}
{{- define "plumbline.backup.place" -}}
{{- $to := .Values.backup.destination -}}
- --bucket={{ required "backup.destination.bucket is needed where backup.enabled is true" $to.bucket }}
- --bucket-prefix={{ $to.prefix }}
{{- with $to.endpointUrl }}
- --endpoint-url={{ . }}
{{- end }}
- --region={{ $to.region }}
{{- end -}}

{{- define "plumbline.backup.secret" -}}
{{- $auth := .Values.backup.destination.auth -}}
{{- if $auth.existingSecret -}}{{ $auth.existingSecret }}
{{- else if $auth.accessKeyId -}}{{ include "plumbline.name" (dict "root" . "component" "backup") }}
{{- end -}}
{{- end -}}

{{/* The place's credentials. Without any the pod's own identity is used. */}}
{{- define "plumbline.backup.env" -}}
{{- $auth := .Values.backup.destination.auth -}}
{{- with (include "plumbline.backup.secret" .) }}
- name: BACKUP_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ $auth.accessKeyIdKey }}}}
- name: BACKUP_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ $auth.secretAccessKeyKey }}}}
{{- end }}
{{- end -}}

{{/* Databases that are saved, by spaces; Feast's registry can be made again from the views, but costs nothing. */}}
{{- define "plumbline.backup.databases" -}}
{{- $names := .Values.postgres.databases -}}
{{- list $names.mlflow $names.mlflowAuth $names.feast | join " " -}}
{{- end -}}

{{/* A container with Postgres' own client tools. Arguments: root, name, command. */}}
{{- define "plumbline.backup.postgres" -}}
{{- $backup := .root.Values.backup -}}
{{- $image := mergeOverwrite (deepCopy .root.Values.postgres.image) (deepCopy $backup.postgres.image) -}}
- name: {{ .name }}
  image: {{ include "plumbline.image" (dict "root" .root "image" $image) }}
  imagePullPolicy: {{ $image.pullPolicy | default .root.Values.images.pullPolicy }}
  {{- include "plumbline.containerSecurity" . | nindent 2 }}
  command:
    {{- toYaml .command | nindent 4 }}
  env:
    {{- $names := list (dict "name" "DATABASES" "value" (include "plumbline.backup.databases" .root)) }}
    {{- include "plumbline.env" (concat (include "plumbline.postgres.env" .root | fromYamlArray) $names $backup.postgres.env) | trim | nindent 4 }}
  resources:
    {{- toYaml $backup.postgres.resources | nindent 4 }}
  volumeMounts:
    - {name: dumps, mountPath: /dumps}
    - {name: tmp, mountPath: /tmp}
    {{- with include "plumbline.postgres.caMount" .root | trim }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "plumbline.backup.volumes" -}}
{{ include "plumbline.ours.volumes" (dict "root" .) }}
- name: dumps
  emptyDir: {sizeLimit: {{ .Values.backup.scratchSize }}}
{{- end -}}
