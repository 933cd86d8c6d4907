{{/* What every pod and container has in common. */}}

{{/*
Fields of a pod's spec above its containers.
Arguments: root, component, values (of the component; may be empty), and optionally serviceAccount: the name of one
whose token is mounted. Without it the pod has no token.
*/}}
{{- define "plumbline.podSpec" -}}
{{- $values := .values | default dict -}}
{{- $root := .root -}}
serviceAccountName: {{ .serviceAccount | default (include "plumbline.name" (dict "root" $root "component" "default")) }}
automountServiceAccountToken: {{ if .serviceAccount }}true{{ else }}false{{ end }}
enableServiceLinks: false
{{- include "plumbline.pullSecrets" $root }}
{{- with (default $root.Values.priorityClassName $values.priorityClassName) }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  {{- toYaml (mergeOverwrite (deepCopy $root.Values.podSecurityContext) ($values.podSecurityContext | default dict)) | nindent 2 }}
{{- with (default $root.Values.nodeSelector $values.nodeSelector) }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with (default $root.Values.tolerations $values.tolerations) }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if gt (int ($values.replicas | default 1)) 1 }}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "plumbline.selectorLabels" (dict "root" $root "component" $.component) | nindent 8 }}
  {{- end }}
{{- end }}
{{- with $values.terminationGracePeriodSeconds }}
terminationGracePeriodSeconds: {{ . }}
{{- end }}
{{- end -}}

{{/* A container's security context: Pod Security "restricted", and a root file system that cannot be written. */}}
{{- define "plumbline.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/*
Annotations that roll a pod when the settings that it reads change. Arguments: root, values, groups (of the settings).
Only those groups: an upgrade that changes one part is not to restart all the others at the same moment.
*/}}
{{- define "plumbline.podAnnotations" -}}
{{- $settings := include "plumbline.settings.yaml" .root | fromYaml -}}
{{- $read := dict -}}
{{- range concat (list "profile" "home") .groups -}}
{{- $_ := set $read . (get $settings .) -}}
{{- end -}}
checksum/settings: {{ toJson $read | sha256sum }}
{{- with (.values | default dict).podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
A container of ours: image of the role, settings, credentials, security, writable folders.
Arguments: root, role, and optionally needs (list of: store, registry, online, tracking) for credentials.
The caller writes name, command or args, resources, ports and probes.
*/}}
{{- define "plumbline.ours" -}}
image: {{ include "plumbline.roleImage" . }}
imagePullPolicy: {{ .root.Values.images.pullPolicy }}
{{ include "plumbline.containerSecurity" . }}
{{- with concat (include "plumbline.credentials" . | fromYamlArray) (.env | default list) }}
env:
  {{- include "plumbline.env" . | trim | nindent 2 }}
{{- end }}
volumeMounts:
  {{- include "plumbline.ours.mounts" . | nindent 2 }}
  {{- with .mounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/*
Entries of a container's environment, each name once: the last one wins. Server-side apply refuses a name given twice.
An entry comes after those that it may refer to by $(NAME), so the place is the last one's, too.
*/}}
{{- define "plumbline.env" -}}
{{- $entries := . -}}
{{- range $index, $entry := $entries }}
{{- $later := false }}
{{- range slice $entries (add $index 1) }}{{- if eq .name $entry.name }}{{- $later = true }}{{- end }}{{- end }}
{{- if not $later }}
{{ list $entry | toYaml }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "plumbline.ours.mounts" -}}
- {name: settings, mountPath: /etc/plumbline, readOnly: true}
- {name: home, mountPath: /var/lib/plumbline}
- {name: tmp, mountPath: /tmp}
{{- with include "plumbline.postgres.caMount" .root | trim }}
{{ . }}
{{- end }}
{{- end -}}

{{- define "plumbline.postgres.caMount" -}}
{{- if and (not .Values.postgres.enabled) .Values.postgres.external.caSecret }}
- {name: postgres-ca, mountPath: /etc/postgres-ca, readOnly: true}
{{- end }}
{{- end -}}

{{/* Volumes of a pod of ours. Arguments: root, and optionally home: the name of a claim (else it is temporary). */}}
{{- define "plumbline.ours.volumes" -}}
- name: settings
  configMap:
    name: {{ include "plumbline.name" (dict "root" .root "component" "settings") }}
- name: tmp
  emptyDir: {}
{{- if and (not .root.Values.postgres.enabled) .root.Values.postgres.external.caSecret }}
- name: postgres-ca
  secret:
    secretName: {{ .root.Values.postgres.external.caSecret }}
    defaultMode: 0444
{{- end }}
- name: home
  {{- if .home }}
  persistentVolumeClaim:
    claimName: {{ .home }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- end -}}

{{/* A claim. Arguments: root, component, persistence (enabled, size, storageClass, accessModes). Kept at uninstall. */}}
{{- define "plumbline.claim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "plumbline.metadata" . | nindent 2 }}
  {{- if .root.Values.keepVolumes }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
spec:
  accessModes: {{ toJson (default (list "ReadWriteOnce") .persistence.accessModes) }}
  {{- with (default .root.Values.global.storageClass .persistence.storageClass) }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .persistence.size }}
{{- end -}}
